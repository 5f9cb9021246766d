"""Runs inside the measured interpreter: standard library, torch, transformers, deepspeed, `matrix.model`."""
