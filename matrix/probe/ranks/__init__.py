"""Ranks: the warm process, groups that are forked from it, and messages between them."""
