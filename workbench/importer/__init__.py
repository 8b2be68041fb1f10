"""Converts pipelines of other CI systems; no output, no network, and nothing of the file is executed."""
