"""Reports of the matrix for people: the terminal, a file, later a pull request and a site."""
