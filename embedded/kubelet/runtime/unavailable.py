"""The error of a runtime that can't be used; apart, because commands that look for one import nothing else."""

from __future__ import annotations


class RuntimeUnavailableError(Exception):
    """The runtime can't be used; the message says why and what to do."""
