"""What goes wrong with an engine."""

from __future__ import annotations


class EngineError(Exception):
    """The engine has refused a request; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class EngineUnreachableError(Exception):
    """The engine does not answer; the message names its address."""
