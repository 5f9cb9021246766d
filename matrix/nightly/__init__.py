"""What one machine of a nightly run measures."""
