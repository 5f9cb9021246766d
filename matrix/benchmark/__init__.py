"""The benchmark of a cell: ratios of times within one run, each against its goal."""
