"""The timeline of a run: bars for the parts of each step's time, and the critical path. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from controller.run_types.phases import StepPhase
from workbench.client.models import Run, Step
from workbench.report.report import PhaseSpan, run_spans


@dataclass(frozen=True)
class Bar:
    """A part of a step's time, drawn in the cells from `first` up to `last` (exclusive)."""

    part: str
    first: int
    last: int


@dataclass(frozen=True)
class Scale:
    """The time from `begin` to `end` on a line of `width` cells."""

    begin: datetime
    end: datetime
    width: int

    def cell(self, moment: datetime) -> int:
        """The cell of a time, from 0 up to the width (the end)."""
        total = (self.end - self.begin).total_seconds()
        if total <= 0:
            return 0
        part = (moment - self.begin).total_seconds() / total
        return min(max(round(part * self.width), 0), self.width)


@dataclass(frozen=True)
class Timeline:
    """The parts of the time of each step, by its name, and what all of them take from `begin` to `end`."""

    spans: Mapping[str, tuple[PhaseSpan, ...]]
    begin: datetime | None
    """None before any start."""
    end: datetime | None
    """The last end that is known."""
    goes_on: bool
    """Whether a part has not ended."""

    @classmethod
    def of(cls, run: Run) -> Timeline:
        spans = run_spans(run)
        found = [span for each in spans.values() for span in each]
        ends = [span.until for span in found if span.until is not None]
        begin = min((span.since for span in found), default=None)
        return cls(spans, begin, max(ends, default=None), len(ends) < len(found))

    def scale(self, width: int, now: datetime) -> Scale | None:
        """The whole time on a line of `width` cells; None before any start."""
        if self.begin is None or width < 1:
            return None
        ends = [self.begin, *([self.end] if self.end is not None else []), *([now] if self.goes_on else [])]
        return Scale(self.begin, max(ends), width)


def bars(found: Iterable[PhaseSpan], scale: Scale, now: datetime) -> tuple[Bar, ...]:
    """Bars in order without overlaps. A part shorter than a cell is omitted, but each step has at least one bar."""
    drawn: list[Bar] = []
    at = 0
    longest: tuple[float, PhaseSpan] | None = None
    for span in found:
        first, last = max(scale.cell(span.since), at), scale.cell(span.until or now)
        if longest is None or span.seconds(now) >= longest[0]:
            longest = (span.seconds(now), span)
        if last > first:
            drawn.append(Bar(span.part, first, last))
            at = last
    if not drawn and longest is not None:
        first = min(scale.cell(longest[1].since), scale.width - 1)
        drawn.append(Bar(longest[1].part, first, first + 1))
    return tuple(drawn)


def critical_path(run: Run) -> tuple[str, ...]:
    """The names of the chain of steps that determined the run's duration, from the first to the last.

    The controller reports it at the end; before, it leads to the running step, or the one that ended last.
    """
    if run.critical_path:
        return run.critical_path
    steps = {step.name: step for step in run.steps}
    chain: list[str] = []
    step = _last(run.steps)
    while step is not None and step.name not in chain:
        chain.append(step.name)
        step = _last(steps[name] for name in step.depends_on if name in steps)
    return tuple(reversed(chain))


def _last(steps: Iterable[Step]) -> Step | None:
    """Of the started steps, a running one, else the one that ended last."""
    ran = [step for step in steps if step.attempts]
    running = [step for step in ran if step.phase == StepPhase.RUNNING]
    if running:
        return min(running, key=lambda step: step.start_time.timestamp() if step.start_time else float("inf"))
    ended = [(step.completion_time, step) for step in ran if step.completion_time is not None]
    return max(ended, key=lambda pair: pair[0])[1] if ended else None
