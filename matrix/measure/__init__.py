"""Measures one cell: from a request to a results file."""
