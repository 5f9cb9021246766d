"""Shows people what the matrix found: reports, comments on pull requests, and a site."""
