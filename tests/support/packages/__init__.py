"""What a copy of this project says of a package that a test adds to it."""
