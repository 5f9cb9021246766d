"""The pages of the site, one module each; its template has the same name."""
