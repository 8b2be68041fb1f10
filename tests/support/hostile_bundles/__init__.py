"""Files that look like bundles of runs and were made to harm."""
