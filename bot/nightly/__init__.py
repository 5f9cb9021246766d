"""Plans, collects and publishes nightly runs."""
