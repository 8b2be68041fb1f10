"""Compares two runs: phases and durations of steps, and the first different line of two logs. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from workbench.client.models import Run, Step
from workbench.report.report import step_spans

_SHOWN_BEFORE, _SHOWN_AFTER = 12, 12
"""Columns of what is the same before the difference of two lines, and of what differs."""


@dataclass(frozen=True)
class StepPair:
    """A step of one or both runs. Durations are in seconds; None if it did not run."""

    name: str
    left: Step | None
    right: Step | None
    left_seconds: float | None
    right_seconds: float | None

    @property
    def differs(self) -> bool:
        """Whether the phases differ, or the step exists in one run only."""
        return self.left is None or self.right is None or self.left.phase != self.right.phase

    @property
    def slower_by(self) -> float | None:
        """By how many seconds it took longer in the right run."""
        if self.left_seconds is None or self.right_seconds is None:
            return None
        return self.right_seconds - self.left_seconds


def pair_steps(left: Run, right: Run, now: datetime) -> tuple[StepPair, ...]:
    """The steps of both runs by name: in the order of the right run, then those only in the left one."""
    before = {step.name: step for step in left.steps}
    after = {step.name: step for step in right.steps}
    return tuple(
        StepPair(
            name,
            before.get(name),
            after.get(name),
            _seconds(left, before.get(name), now),
            _seconds(right, after.get(name), now),
        )
        for name in dict.fromkeys([*after, *before])
    )


def _seconds(run: Run, step: Step | None, now: datetime) -> float | None:
    found = step_spans(run, step) if step is not None else ()
    return sum(span.seconds(now) for span in found) if found else None


@dataclass(frozen=True)
class Difference:
    """The first different line (from 1) of two logs; None for a log that ends before it."""

    line: int
    left: str | None
    right: str | None


_VARIES = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b"
    r"|\b\d+(?:\.\d+)?\s?(?:ns|us|µs|ms|s|sec|secs|seconds?|m\d+s)\b"
    r"|\b0x[0-9a-fA-F]+\b"
    r"|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"
    r"|/tmp/[\w./-]+"
)


def normalize_line(line: str) -> str:
    """A line without text that varies between runs: times, durations, addresses, UUIDs, temporary files."""
    return _VARIES.sub("…", line).rstrip()


LineReader = Callable[[int, int], list[str]]
"""Reads displayed lines of a log: a position and a maximum number, which only the end of the log falls short of."""


def cut_to_difference(left: str, right: str, width: int) -> tuple[str, str]:
    """Both lines, without most of what they begin with in common where the rest would not fit into `width` columns."""
    pairs = enumerate(zip(left, right, strict=False))
    common = next((at for at, (one, other) in pairs if one != other), min(len(left), len(right)))
    if common + _SHOWN_AFTER <= width:
        return left, right
    start = max(common - _SHOWN_BEFORE, 0)
    return f"…{left[start:]}", f"…{right[start:]}"


def first_difference(left: LineReader, right: LineReader, *, chunk_size: int = 2_000) -> Difference | None:
    """The first difference of two logs, ignoring text that varies between runs; None if there is none."""
    at = 0
    while True:
        ours, theirs = left(at, chunk_size), right(at, chunk_size)
        for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            if one != other and normalize_line(one) != normalize_line(other):
                return Difference(at + number + 1, one, other)
        common = min(len(ours), len(theirs))
        if len(ours) != len(theirs):
            return Difference(
                at + common + 1,
                ours[common] if len(ours) > common else None,
                theirs[common] if len(theirs) > common else None,
            )
        if common < chunk_size:
            return None
        at += common
