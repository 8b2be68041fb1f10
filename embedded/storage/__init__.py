"""Objects on disk and the order in which they changed. Knows bytes and revisions, not Kubernetes."""
