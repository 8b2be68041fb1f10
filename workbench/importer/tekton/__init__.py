"""Converts pipelines of Tekton."""
