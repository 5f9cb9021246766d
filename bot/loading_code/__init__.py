"""Tests whether a change touches loading code, and finds which architectures it affects."""
