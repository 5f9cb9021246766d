"""Talks to GitHub: the REST client, events, threads and their hidden markers, and the Actions environment."""
