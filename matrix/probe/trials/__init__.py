"""Checks that make models of their own: what one process makes, and what the ranks make in the same way under ZeRO-3."""
