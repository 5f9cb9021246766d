"""The dashboard: a static site made from a board, page by page."""
