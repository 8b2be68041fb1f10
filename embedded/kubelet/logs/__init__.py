"""Container logs on disk."""
