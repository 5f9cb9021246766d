"""`check`: the user's own model in the user's own environment."""
