"""What the bot does for a pull request, from its event to its comment."""
