"""Says on the terminal when runs that were started or opened in the workbench have ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from workbench.runs.run_list import RunList
from workbench.tui.terminal.notify import RESTORE_TITLE, SAVE_TITLE, notification_sequences
from workbench.tui.theme import phase_sign


class EndedRuns:
    """Reports the end of each watched run once.

    Args:
        ways: those of `Preferences.notify`.
        write: writes control sequences to the terminal.
    """

    def __init__(self, ways: Collection[str], write: Callable[[str], None]) -> None:
        self._ways, self._write = ways, write
        self._watched: set[str] = set()
        self._title_changed = False

    def watch(self, name: str, runs: RunList) -> None:
        """Report the end of this run, unless it has ended."""
        run = runs.get(name)
        if run is None or not run.ended:
            self._watched.add(name)

    def report(self, runs: RunList) -> None:
        """Report the runs that have ended since the last call."""
        for name in sorted(self._watched):
            run = runs.get(name)
            if run is None or not run.ended:
                continue
            self._watched.discard(name)
            if "title" in self._ways and not self._title_changed:
                self._title_changed = True
                self._write(SAVE_TITLE)
            self._write(
                notification_sequences(f"{phase_sign(run.phase)} {run.name}: {run.phase}", self._ways, os.environ)
            )

    def restore_title(self) -> None:
        """Give the terminal the title that it had."""
        if self._title_changed:
            self._write(RESTORE_TITLE)
