"""In-memory state of runs between reconciles; all of it can be rebuilt."""
