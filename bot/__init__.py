"""What the matrix found, for people: reports, comments on pull requests, and a site."""
