"""Proposes a pipeline for a repository from the files that it has; no output and no writing."""
