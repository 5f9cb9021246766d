"""Environments: pins, how they are installed, and what pip's configuration says."""
