"""Makes a model tiny without losing a buffer."""
