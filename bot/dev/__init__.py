"""Tools for developers: a browser and screenshots."""
