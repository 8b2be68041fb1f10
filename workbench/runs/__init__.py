"""Lists of runs and their filters."""
