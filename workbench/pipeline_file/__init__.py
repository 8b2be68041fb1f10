"""The pipeline file on disk: loading, drafts, completion and preview."""
