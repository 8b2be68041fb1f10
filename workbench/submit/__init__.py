"""Submission of runs: working tree, archive and request."""
