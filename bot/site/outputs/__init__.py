"""The files of the site other than pages: badges, the feed of changes, the API for programs."""
