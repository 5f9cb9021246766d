"""Turns artifacts that a stranger's code wrote into runs that can be believed, or says why not."""
