"""Turns a comparison into the comment, the check run and the step summary of a pull request."""
