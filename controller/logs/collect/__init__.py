"""Following the log of a container: source, resume, deduplication and line numbers."""
