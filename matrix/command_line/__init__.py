"""Command lines: made from a table of commands, their common options, and how they end."""
