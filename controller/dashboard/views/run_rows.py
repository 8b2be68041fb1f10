"""Runs in lists: what the filter language asks of one, and what a row shows; times are parsed when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from controller.api.artifacts.workspaces import debug_source
from controller.api.runs.pagination import parse_time
from controller.api.serializers import creator_of, phase_of
from controller.run_numbers import pipeline_of
from controller.run_query import parse_query, run_begin, run_duration
from controller.run_types.order import CreationKey, creation_order, number_of

PAGE_SIZE = 50
TREND = 12
"""Runs of a pipeline that its trend shows."""


class RunRow:
    """A cached run."""

    def __init__(self, run: Mapping[str, Any]) -> None:
        self._run = run
        self._spec: Mapping[str, Any] = run.get("spec") or {}
        self._status: Mapping[str, Any] = run.get("status") or {}

    @property
    def name(self) -> str:
        return str(self._run["metadata"]["name"])

    @property
    def pipeline(self) -> str:
        return pipeline_of(self._run) or ""

    @property
    def number(self) -> int:
        return number_of(self._run) or 0

    @property
    def branch(self) -> str | None:
        return self._spec.get("branch")

    @property
    def commit(self) -> str | None:
        return self._spec.get("commit")

    @property
    def event(self) -> str | None:
        return self._spec.get("event")

    @property
    def triggered_by(self) -> str | None:
        return self._spec.get("triggeredBy")

    @property
    def created_by(self) -> str | None:
        return creator_of(self._run)

    @property
    def watch(self) -> bool:
        return bool(self._spec.get("watch"))

    @property
    def phase(self) -> str:
        return phase_of(self._run)

    @property
    def message(self) -> str | None:
        return self._status.get("message")

    @property
    def progress(self) -> str:
        return str((self._status.get("summary") or {}).get("progress") or "")

    @cached_property
    def order(self) -> CreationKey[str]:
        """What sorts rows as their runs were created."""
        return creation_order(self._run)

    @cached_property
    def created_at(self) -> datetime | None:
        return parse_time(self.order[0])

    @cached_property
    def start_time(self) -> datetime | None:
        return parse_time(str(self._status.get("startTime") or ""))

    @cached_property
    def completion_time(self) -> datetime | None:
        return parse_time(str(self._status.get("completionTime") or ""))

    @property
    def is_running(self) -> bool:
        return self.phase == "Running"

    @property
    def begin(self) -> datetime | None:
        return run_begin(self)

    def duration(self, now: datetime) -> float | None:
        """Seconds from its start to its end, or up to now."""
        return run_duration(self, now)


@dataclass(frozen=True)
class RunPage:
    """One page of the runs that a filter selects, newest first; `total` counts all of them."""

    rows: Sequence[RunRow]
    page: int
    total: int
    problems: tuple[str, ...]

    @property
    def has_next(self) -> bool:
        return self.page * PAGE_SIZE < self.total


def select_runs(
    runs: Iterable[Mapping[str, Any]], text: str, pipeline: str | None, page: int, now: datetime
) -> RunPage:
    """The page of runs that match the filter; debug copies are left out."""
    query = parse_query(text)
    rows = (RunRow(run) for run in runs if debug_source(run) is None)
    found = [row for row in rows if pipeline in (None, row.pipeline) and query.matches(row, now)]
    found.sort(key=lambda row: row.order, reverse=True)
    first = (page - 1) * PAGE_SIZE
    return RunPage(found[first : first + PAGE_SIZE], page, len(found), query.problems)


def previous_run(runs: Iterable[Mapping[str, Any]], shown: RunRow) -> str | None:
    """The name of the last run of the same pipeline that was created before one; debug copies do not count."""
    rows = (RunRow(run) for run in runs if debug_source(run) is None)
    earlier = (row for row in rows if row.pipeline == shown.pipeline and row.order < shown.order)
    found = max(earlier, key=lambda row: row.order, default=None)
    return found.name if found is not None else None


@dataclass(frozen=True)
class PipelineRow:
    """A pipeline: its last runs, oldest first, of how many, and whether it is saved in the namespace."""

    name: str
    recent: Sequence[RunRow]
    total: int
    saved: bool

    @property
    def last(self) -> RunRow | None:
        return self.recent[-1] if self.recent else None

    def median(self, now: datetime) -> float | None:
        """The median duration of its last runs that succeeded, in seconds."""
        times = sorted(row.duration(now) or 0.0 for row in self.recent if row.phase == "Succeeded")
        return times[len(times) // 2] if times else None


def pipeline_rows(runs: Iterable[Mapping[str, Any]], saved: Iterable[str]) -> list[PipelineRow]:
    """The pipelines that have runs or are saved, by name."""
    found: dict[str, list[RunRow]] = {name: [] for name in saved}
    kept = frozenset(found)
    for run in runs:
        if debug_source(run) is None:
            row = RunRow(run)
            found.setdefault(row.pipeline, []).append(row)
    rows = []
    for name in sorted(found):
        newest = sorted(found[name], key=lambda row: row.order)
        rows.append(PipelineRow(name, newest[-TREND:], len(newest), name in kept))
    return rows
