"""Value types of the format: durations, quantities and globs."""
