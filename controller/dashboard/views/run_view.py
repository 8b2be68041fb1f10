"""A run as its page shows it: its steps with why they are as they are, and their bars in time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.api.runs.pagination import parse_time
from controller.dashboard.views.run_rows import RunRow
from controller.run_types.phases import FINAL_RUN_PHASES
from controller.run_types.summary import status_of

BAR_WIDTH = 1000
"""Units of the width of a step's bars; the page scales them."""


@dataclass(frozen=True)
class Bar:
    """A part of a step's time: `waiting` or `running`, and the attempt's phase. `x` and `width` are of `BAR_WIDTH`."""

    part: str
    phase: str
    x: int
    width: int
    title: str


@dataclass(frozen=True)
class StepView:
    """A step. `why` says why it is as it is; `failure` is the line (from 1) and text that explain a failure."""

    index: int
    name: str
    slug: str
    phase: str
    reason: str
    why: str
    depends_on: tuple[str, ...]
    matrix_of: str | None
    seconds: float | None
    since: datetime | None
    started: datetime | None
    attempts: int
    failure: tuple[int, str] | None
    artifacts: int
    tests: Mapping[str, int] | None
    allow_failure: bool
    is_reused: bool
    bars: tuple[Bar, ...]

    @property
    def shown(self) -> str:
        """What its colour means: a failure that is allowed is not an alarm."""
        return "Allowed" if self.phase == "Failed" and self.allow_failure else self.phase


@dataclass(frozen=True)
class RunView:
    """A run.

    `since` is when its clock started to run, if it still does.
    """

    row: RunRow
    reason: str | None
    message: str | None
    steps: tuple[StepView, ...]
    version: str
    is_final: bool
    seconds: float | None
    since: datetime | None
    problems: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]
    needs_approval: bool
    ignores_images: bool

    @property
    def layout(self) -> str:
        """A digest of what the page has besides the pieces that are replaced: when it changes, the page is made again.

        Steps are added once, when a repository's pipeline is read; an approval takes a form away. So does the end of
        the run, of which the pieces are shown before.
        """
        said = json.dumps([self.needs_approval, *(step.slug for step in self.steps)])
        return hashlib.sha256(said.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Clock:
    """The time at which a run is seen. A `span` is the time that the bars are of, where the run is seen in its past."""

    now: datetime
    span: tuple[datetime, datetime] | None = None

    @property
    def is_running(self) -> bool:
        return self.span is None


def build_run(run: Mapping[str, Any], clock: datetime | Clock) -> RunView:
    """The view of a PipelineRun, now or at a moment of its past."""
    clock = clock if isinstance(clock, Clock) else Clock(clock)
    status, row, now = status_of(run), RunRow(run), clock.now
    begin = row.begin or now
    span = clock.span or (begin, row.completion_time or max(now, begin))
    is_final = row.phase in FINAL_RUN_PHASES
    steps = tuple(_step(index, step, span, clock) for index, step in enumerate(status.get("steps") or ()))
    summary = status.get("summary") or {}
    names = ("succeeded", "failed", "running", "pending", "skipped", "cancelled")
    spec = run.get("spec") or {}
    return RunView(
        row=row,
        reason=status.get("reason"),
        message=status.get("message"),
        steps=steps,
        version=str(run["metadata"].get("resourceVersion", "")),
        is_final=is_final,
        seconds=row.duration(now),
        since=row.begin if row.start_time is not None and not is_final and clock.is_running else None,
        problems=tuple(
            f"{each.get('file')}:{each.get('line')}:{each.get('column')}: {each.get('message')}"
            for each in status.get("problems") or ()
        ),
        counts=tuple((name, int(summary[name])) for name in names if summary.get(name)),
        needs_approval=bool((spec.get("trigger") or {}).get("needsApproval")) and not spec.get("approved"),
        ignores_images=(status.get("runtime") or {}).get("images") == "ignored",
    )


def _step(index: int, step: Mapping[str, Any], span: tuple[datetime, datetime], clock: Clock) -> StepView:
    attempts = step.get("attempts") or ()
    failure = step.get("firstFailure") or {}
    stored = step.get("artifacts")
    started = parse_time(str(step.get("startTime") or ""))
    ended = parse_time(str(step.get("completionTime") or ""))
    reused = step.get("reused") or {}
    why = str(step.get("message") or (f"taken from {reused['run']}" if reused else ""))
    return StepView(
        index=index,
        name=str(step["name"]),
        slug=str(step["slug"]),
        phase=str(step.get("phase") or "Pending"),
        reason=str(step.get("reason") or ""),
        why=why,
        depends_on=tuple(map(str, step.get("dependsOn") or ())),
        matrix_of=step.get("matrixOf"),
        seconds=None if started is None else max(0.0, ((ended or clock.now) - started).total_seconds()),
        since=started if ended is None and clock.is_running else None,
        started=started,
        attempts=len(attempts),
        failure=(int(failure["line"]), str(failure.get("text") or "")) if failure.get("line") else None,
        artifacts=len(stored) if isinstance(stored, list) else int((stored or {}).get("files") or 0),
        tests=attempts[-1].get("tests") if attempts else None,
        allow_failure=bool(step.get("allowFailure")),
        is_reused=bool(reused),
        bars=_bars(attempts, span, clock.now),
    )


def _bars(attempts: Sequence[Mapping[str, Any]], span: tuple[datetime, datetime], now: datetime) -> tuple[Bar, ...]:
    begin, end = span
    total = (end - begin).total_seconds()
    if total <= 0:
        return ()

    def place(moment: datetime) -> int:
        return min(max(round((moment - begin).total_seconds() / total * BAR_WIDTH), 0), BAR_WIDTH)

    found = []
    for attempt in attempts:
        times = {name: parse_time(str(text)) for name, text in (attempt.get("times") or {}).items()}
        created, running = times.get("queued") or times.get("created"), times.get("running")
        finished = times.get("uploaded") or times.get("finished") or (end if attempt.get("phase") != "Running" else now)
        for part, first, last in (("waiting", created, running or finished), ("running", running, finished)):
            if first is None or last <= first:
                continue
            x = place(first)
            seconds = (last - first).total_seconds()
            title = f"attempt {attempt.get('number')}, {part} {seconds:.1f} s"
            found.append(Bar(part, str(attempt.get("phase")), x, max(place(last) - x, 2), title))
    return tuple(found)
