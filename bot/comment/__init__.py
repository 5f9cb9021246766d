"""The comment, the check run and the summary of a comparison."""
