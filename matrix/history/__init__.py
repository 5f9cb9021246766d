"""The history: nightly runs kept, and the database that is built from them."""
