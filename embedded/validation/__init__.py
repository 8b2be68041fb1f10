"""Defaults and validation of built-in kinds, quotas and webhook matching."""
