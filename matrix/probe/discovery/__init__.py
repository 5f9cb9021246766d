"""Looks through an installed transformers for architectures with buffers."""
