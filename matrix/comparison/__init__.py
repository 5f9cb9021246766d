"""Comparison: a base run against a head run."""
