"""The timeline of a run: bars for the parts of each step's time, and the critical path. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from controller.run_types.phases import StepPhase
from workbench.client.models import Run, Step
from workbench.report.report import PhaseSpan, step_spans


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

    @classmethod
    def of(cls, run: Run, width: int, now: datetime) -> Scale | None:
        """From the first start to the last end of a run's steps; None before any start."""
        found = [span for step in run.steps for span in step_spans(run, step)]
        if not found or width < 1:
            return None
        begin = min(span.since for span in found)
        return cls(begin, max(max(span.until or now for span in found), begin), width)

    def cell(self, moment: datetime) -> int:
        """The cell of a time, from 0 up to the width (the end)."""
        total = (self.end - self.begin).total_seconds()
        if total <= 0:
            return 0
        part = (moment - self.begin).total_seconds() / total
        return min(max(round(part * self.width), 0), self.width)


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
