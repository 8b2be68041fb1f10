"""The history of notifications, for reading those that have disappeared."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

_MAX_ENTRIES = 500


@dataclass(frozen=True)
class Notification:
    at: datetime
    severity: str
    """`information`, `warning` or `error`."""
    title: str
    text: str
    count: int = 1
    """How often it was repeated in a row."""


class NotificationHistory:
    """The newest 500 notifications."""

    def __init__(self) -> None:
        self._entries: deque[Notification] = deque(maxlen=_MAX_ENTRIES)

    def __len__(self) -> int:
        return len(self._entries)

    def newest_first(self) -> Iterator[Notification]:
        return reversed(self._entries)

    def add(self, at: datetime, severity: str, title: str, text: str) -> None:
        last = self._entries[-1] if self._entries else None
        count = 1
        if last is not None and (last.severity, last.title, last.text) == (severity, title, text):
            count = self._entries.pop().count + 1
        self._entries.append(Notification(at, severity, title, text, count))
