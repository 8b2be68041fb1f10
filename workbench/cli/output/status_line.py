"""A line that says how far a command is, and is replaced by the next one. Nothing without a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from workbench.cli.output.console import console_style
from workbench.text.sanitize import sanitize_line, truncate

_INTERVAL = 0.1
"""Seconds between two drawings."""


class StatusLine:
    """Draws on stderr; use it as a context manager, which removes the line."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._width = console_style(sys.stderr).width
        self._clock, self._next, self._drawn = clock, 0.0, False

    def __enter__(self) -> StatusLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._write("\r\x1b[K")

    def show(self, text: str) -> None:
        """Show a text in place of the last one, at most ten times a second."""
        if self._width is None or self._clock() < self._next:
            return
        self._next, self._drawn = self._clock() + _INTERVAL, True
        self._write("\r\x1b[K" + truncate(sanitize_line(text, colour=False), self._width - 1))

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
