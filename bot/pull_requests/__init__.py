"""Follows a pull request from its event to its comment: plan, report, commands in comments, upstream watch."""
