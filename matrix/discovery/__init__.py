"""Discovery: makes the catalog's lock file from what the probe finds in each release."""
