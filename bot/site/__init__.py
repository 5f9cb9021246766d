"""The dashboard: a static site made from a snapshot of the history, page by page."""
