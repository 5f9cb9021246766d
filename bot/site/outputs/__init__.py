"""The files of the site that are no pages: badges, the feed of changes, the API for programs."""
