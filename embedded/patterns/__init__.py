"""Regular expressions of strangers: RE2's language, matched in bounded time.

A definition's `pattern` and a rule's `matches` come from whoever may define resources. Python's own engine can be sent
into an endless search by 20 characters, and would stop the server; this one steps through all ways at once, and gives
up on what still takes too long. Knows nothing of Kubernetes. No captures: nobody here asks for them.
"""

from embedded.patterns.match import Pattern, TooLongError, compiled
from embedded.patterns.parse import PatternError

__all__ = ["Pattern", "PatternError", "TooLongError", "compiled"]
