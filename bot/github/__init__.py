"""The door to GitHub: the REST client, events, and the Actions environment."""
