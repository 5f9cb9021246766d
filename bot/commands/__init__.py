"""The commands of `python -m bot`, one file for each group."""
