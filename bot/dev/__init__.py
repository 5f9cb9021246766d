"""Tools for developers: a browser, screenshots, and the benchmark of the dashboard."""
