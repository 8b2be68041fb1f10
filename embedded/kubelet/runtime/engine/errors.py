"""What goes wrong with an engine."""

from __future__ import annotations

import json
from contextlib import suppress


class EngineError(Exception):
    """The engine has refused a request; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class EngineUnreachableError(Exception):
    """The engine does not answer; the message names its address."""


def error_message(text: str) -> str:
    """The message in the body of a refusal."""
    with suppress(ValueError, AttributeError):
        found = json.loads(text)
        return str(found.get("message") or found.get("cause") or text)
    return text.strip()
