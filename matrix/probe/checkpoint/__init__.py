"""The tiny checkpoint full of sentinels, and its plain load in one process."""
