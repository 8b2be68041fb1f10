"""Converts pipelines of GitLab CI."""
