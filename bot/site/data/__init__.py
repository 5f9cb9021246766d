"""The data of the site: what every page may read."""
