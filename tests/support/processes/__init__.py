"""Processes that tests start, and watch."""
