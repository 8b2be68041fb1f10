"""Filters and sorts a list of runs by words that the user types. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from workbench.client.models import Run
from workbench.report.report import run_duration

SortOrder = Literal["newest", "oldest", "longest", "name"]
ORDERS: tuple[SortOrder, ...] = ("newest", "oldest", "longest", "name")
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class RunFilter:
    """Selects runs with every word in their name, branch, commit, event, trigger or phase; `!word` excludes."""

    text: str = ""
    order: SortOrder = "newest"
    pipeline: str | None = None
    """Only runs of this pipeline; None: of all."""

    def apply(self, runs: Iterable[Run], now: datetime) -> list[Run]:
        words = self.text.lower().split()
        shown = (run for run in runs if self.pipeline in (None, run.pipeline))
        selected = [run for run in shown if all(_holds(run, word) for word in words)]
        if self.order == "name":
            return sorted(selected, key=lambda run: (run.pipeline, run.number))
        if self.order == "longest":
            return sorted(selected, key=lambda run: run_duration(run, now) or 0.0, reverse=True)
        return sorted(selected, key=lambda run: (run.created_at or _NEVER, run.number), reverse=self.order == "newest")


def _holds(run: Run, word: str) -> bool:
    included, word = not word.startswith("!"), word.removeprefix("!")
    texts = (run.name, run.branch, run.commit, run.event, run.triggered_by, run.created_by, run.phase)
    return any(word in text.lower() for text in texts if text) == included
