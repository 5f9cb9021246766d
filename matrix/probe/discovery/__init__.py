"""Looks through an installed transformers for architectures with buffers or with tensors that are kept in float32."""
