"""The commands of `python -m matrix`, one file each."""
