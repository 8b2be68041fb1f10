"""Filters and sorts a list of runs by words that the user types. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from controller.run_query import parse_query, run_duration
from workbench.client.models import Run

SortOrder = Literal["newest", "oldest", "longest", "name"]
ORDERS: tuple[SortOrder, ...] = ("newest", "oldest", "longest", "name")


@dataclass(frozen=True)
class RunFilter:
    """Selects runs by the terms of `run_query`: fields, times, and words of name, branch, commit, event or phase."""

    text: str = ""
    order: SortOrder = "newest"
    pipeline: str | None = None
    """Only runs of this pipeline; None: of all."""

    def apply(self, runs: Iterable[Run], now: datetime) -> list[Run]:
        query = parse_query(self.text)
        shown = (run for run in runs if self.pipeline in (None, run.pipeline))
        selected = [run for run in shown if query.matches(run, now)]
        if self.order == "name":
            return sorted(selected, key=lambda run: (run.pipeline, run.number, run.creation_order))
        if self.order == "longest":
            return sorted(selected, key=lambda run: (run_duration(run, now) or 0.0, run.creation_order), reverse=True)
        return sorted(selected, key=lambda run: run.creation_order, reverse=self.order == "newest")

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the terms that are left out."""
        return parse_query(self.text).problems
