"""Parts that several pages show, or that one page is largely made of."""
