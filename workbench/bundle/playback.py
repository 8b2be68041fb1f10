"""Where a run of the past is played: a position in its time, and a speed. It draws nothing and has no clock."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from workbench.bundle.timeline import run_at, status_changes, time_range
from workbench.client.models import Run

_AT_FIRST = 30.0
"""Seconds that a run takes at first at most, at a power of two of its speed."""
_MAX_SPEED, _MIN_SPEED = 1024.0, 0.25
_SEEK = 50
"""Parts of the run that one key press moves by."""


@dataclass
class Playback:
    """`moment` is between the first and the last change of the run."""

    run: Run
    first: datetime
    last: datetime
    moment: datetime
    speed: float = 1.0
    playing: bool = True
    changes: list[datetime] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, run: Run, until: datetime | None = None) -> Playback | None:
        """At the start of a run; None if none of its times is known.

        Args:
            until: when a run that has not ended was as it is; without it, it is None for such a run.
        """
        known = time_range(run)
        if known is None or not (run.ended or until is not None):
            return None
        known = (known[0], max(known[1], until)) if until is not None else known
        speed, seconds = 1.0, (known[1] - known[0]).total_seconds()
        while seconds / speed > _AT_FIRST and speed < _MAX_SPEED:
            speed *= 2
        changes = sorted({change.time for change in status_changes(run)})
        return cls(run, known[0], known[1], known[0], speed, changes=changes)

    @property
    def seconds(self) -> float:
        """The position, in seconds from the start."""
        return (self.moment - self.first).total_seconds()

    @property
    def duration(self) -> float:
        return (self.last - self.first).total_seconds()

    @property
    def at_end(self) -> bool:
        return self.moment >= self.last

    def state(self) -> Run:
        """The run as it was."""
        return run_at(self.run, self.moment)

    def changes_so_far(self) -> int:
        """How many changes there have been: the run looks the same while this is the same."""
        return bisect_right(self.changes, self.moment)

    def advance(self, elapsed: float) -> None:
        """Let so many seconds pass on the clock of the viewer. At the end, playing stops."""
        if self.playing:
            self._go_to(self.moment + timedelta(seconds=elapsed * self.speed))
            self.playing = not self.at_end

    def toggle(self) -> None:
        """Play or pause; at the end, play again from the start."""
        if self.at_end:
            self.moment, self.playing = self.first, True
        else:
            self.playing = not self.playing

    def seek(self, direction: int) -> None:
        """Go forward (1) or back (-1) by a fiftieth of the run."""
        self._go_to(self.moment + direction * timedelta(seconds=max(self.duration / _SEEK, 0.001)))

    def seek_change(self, direction: int) -> None:
        """Go to the next (1) or the previous (-1) change of status, and pause there."""
        self.playing = False
        at = bisect_right(self.changes, self.moment) if direction > 0 else bisect_left(self.changes, self.moment) - 1
        if 0 <= at < len(self.changes):
            self.moment = self.changes[at]

    def change_speed(self, direction: int) -> None:
        """Double (1) or halve (-1) the speed."""
        self.speed = min(max(self.speed * (2.0 if direction > 0 else 0.5), _MIN_SPEED), _MAX_SPEED)

    def _go_to(self, moment: datetime) -> None:
        self.moment = min(max(moment, self.first), self.last)
