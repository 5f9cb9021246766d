"""Advice: which versions are safe, and which failures are known."""
