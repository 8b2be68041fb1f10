"""Merges the log lines and the status changes of a run into one sequence.

The two streams are independent. In the sequence, the end of a step follows its last
line, and lines of the agent and of services are held back unless they explain a
failure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from controller.run_types.phases import StepPhase
from controller.run_types.reasons import StepReason
from workbench.client.models import (
    Attempt,
    BacklogEnd,
    CommandStarted,
    Frame,
    LinePart,
    Lines,
    Missed,
    Run,
    RunEnd,
    Step,
    StreamEnd,
    StreamKey,
)

STEP = "step"
_LONG_WAITS = (StepReason.WAITING_FOR_ADMISSION, StepReason.UNSCHEDULABLE, StepReason.OVER_QUOTA)
"""Reasons to wait for something outside of the run, which may take long."""
_MAX_HELD_BACK = 1_000
"""Maximum number of held-back lines of a container."""


@dataclass(frozen=True)
class Line:
    """A line to show. `container` is its name if it is not the step's own container."""

    slug: str
    number: int
    time: int | None
    text: str
    container: str | None


@dataclass(frozen=True)
class StepTransition:
    """An event of a step, shown between its lines."""

    slug: str
    kind: Literal["started", "retried", "held", "waiting", "ended", "missed", "command"]
    text: str
    phase: str = ""


LogItem = Line | StepTransition


@dataclass
class RunLog:
    """Takes frames and statuses, and returns the items to show now.

    Args:
        show_all: no lines are held back.
        show_reused: the lines of steps whose results come from earlier runs are shown, too.
    """

    show_all: bool = False
    unfinished: Line | None = None
    """The line that was written last and has not ended, such as a progress bar."""
    show_reused: bool = True
    _reused: set[str] = field(default_factory=set)
    _held_back: dict[StreamKey, deque[Line]] = field(default_factory=dict)
    _blamed: set[StreamKey] = field(default_factory=set)
    _complete: set[StreamKey] = field(default_factory=set)
    _reported: dict[str, str] = field(default_factory=dict)
    _attempts: dict[str, int] = field(default_factory=dict)
    _pending_ends: dict[str, Step] = field(default_factory=dict)
    _commands: dict[StreamKey, deque[CommandStarted]] = field(default_factory=dict)
    """Commands whose output begins after the last line that has come."""
    _last_lines: dict[StreamKey, int] = field(default_factory=dict)
    _unfinished_key: StreamKey | None = None
    _holds: dict[str, str] = field(default_factory=dict)
    """Why each held step is held."""
    _waits: dict[str, str] = field(default_factory=dict)
    """What each step waits for outside of the run."""

    def frame(self, frame: Frame) -> list[LogItem]:
        if isinstance(frame, (Lines, CommandStarted, Missed)) and frame.key.step in self._reused:
            return []
        if isinstance(frame, Lines):
            self._line_ended(frame.key)
            return self._lines(frame)
        if isinstance(frame, LinePart):
            return self._part(frame)
        if isinstance(frame, CommandStarted):
            self._commands.setdefault(frame.key, deque()).append(frame)
            return self._due_commands(frame.key)
        if isinstance(frame, Missed):
            self._last_lines[frame.key] = frame.last
            return [self._missed(frame)] if self._is_shown(frame.key) else []
        if isinstance(frame, StreamEnd):
            self._line_ended(frame.key)
            self._complete.add(frame.key)
            return self._flush_failures()
        if isinstance(frame, RunEnd):
            return self.flush()
        assert isinstance(frame, BacklogEnd)
        return []

    def _part(self, frame: LinePart) -> list[LogItem]:
        key = frame.key
        if not self._is_shown(key):
            return []
        self._unfinished_key = key
        self.unfinished = Line(key.step, frame.number, frame.line.time, frame.line.text, _aside(key))
        return self._start_events(key)

    def _line_ended(self, key: StreamKey) -> None:
        if key == self._unfinished_key:
            self.unfinished = self._unfinished_key = None

    def status(self, run: Run) -> list[LogItem]:
        """The items to show after a new status of the run."""
        shown: list[LogItem] = []
        if not self.show_reused:
            self._reused.update(step.slug for step in run.steps if step.reused is not None)
        for step in run.steps:
            shown += self._attempts_of(step)
            if step.ended and self._reported.get(step.slug) != "ended":
                self._pending_ends[step.slug] = step
        return shown + self._flush_failures()

    def flush(self) -> list[LogItem]:
        """The remaining events when no more lines will come."""
        owed, self._pending_ends = list(self._pending_ends.values()), {}
        return [note for step in owed for note in self._end(step)]

    def _lines(self, frame: Lines) -> list[LogItem]:
        key = frame.key
        aside = _aside(key)
        lines = [
            Line(key.step, frame.first + index, line.time, line.text, aside) for index, line in enumerate(frame.lines)
        ]
        if self._is_shown(key):
            return [*self._start_events(key), *self._with_commands(key, lines)]
        self._held_back.setdefault(key, deque(maxlen=_MAX_HELD_BACK)).extend(lines)
        return []

    def _with_commands(self, key: StreamKey, lines: list[Line]) -> list[LogItem]:
        """The lines, with each command before the first line of its output."""
        if not lines:
            return []
        shown: list[LogItem] = []
        for line in lines if self._commands.get(key) else ():
            self._last_lines[key] = line.number - 1
            shown += [*self._due_commands(key), line]
        self._last_lines[key] = lines[-1].number
        return [*(shown or lines), *self._due_commands(key)]

    def _due_commands(self, key: StreamKey) -> list[LogItem]:
        """The commands that have started and whose output would be the next line."""
        shown: list[LogItem] = []
        waiting = self._commands.get(key)
        while waiting and waiting[0].line <= self._last_lines.get(key, 0) + 1:
            started = waiting.popleft()
            shown.append(StepTransition(key.step, "command", started.text))
        return [*self._start_events(key), *shown] if shown else []

    def _start_events(self, key: StreamKey) -> list[LogItem]:
        """Events that precede a line that arrived before the status with its attempt or start."""
        shown: list[LogItem] = []
        if key.container == STEP:
            if key.attempt > max(1, self._attempts.get(key.step, 0)):
                self._attempts[key.step] = key.attempt
                shown.append(StepTransition(key.step, "retried", f"attempt {key.attempt}"))
            if key.step not in self._reported:
                self._reported[key.step] = "started"
                shown.append(StepTransition(key.step, "started", "started", StepPhase.RUNNING))
        return shown

    def _is_shown(self, key: StreamKey) -> bool:
        return self.show_all or key.container == STEP or key in self._blamed

    def _missed(self, frame: Missed) -> StepTransition:
        return StepTransition(
            frame.key.step,
            "missed",
            f"lines {frame.first} to {frame.last} were skipped because they came too fast; the stored log has them",
        )

    def _attempts_of(self, step: Step) -> list[LogItem]:
        shown: list[LogItem] = []
        known = self._attempts.get(step.slug, 0)
        for attempt in step.attempts:
            if attempt.number > known:
                self._attempts[step.slug] = attempt.number
                if attempt.number > 1:
                    shown.append(StepTransition(step.slug, "retried", f"attempt {attempt.number}"))
            shown += self._blame(step, attempt)
        hold = (step.message or "held") if step.reason == StepReason.HELD else ""
        if hold and hold != self._holds.get(step.slug):
            shown.append(StepTransition(step.slug, "held", hold, step.phase))
        self._holds[step.slug] = hold
        wait = (step.message or "") if step.reason in _LONG_WAITS and not step.ended else ""
        if wait and wait != self._waits.get(step.slug):
            shown.append(StepTransition(step.slug, "waiting", wait, step.phase))
        self._waits[step.slug] = wait
        if step.phase == StepPhase.RUNNING and step.slug not in self._reported:
            self._reported[step.slug] = "started"
            shown.append(StepTransition(step.slug, "started", "started", step.phase))
        return shown

    def _blame(self, step: Step, attempt: Attempt) -> list[LogItem]:
        """Release the held-back lines of the containers that made this attempt fail."""
        shown: list[LogItem] = []
        for container in failing_containers(attempt):
            key = StreamKey(step.slug, attempt.number, container)
            if key not in self._blamed:
                self._blamed.add(key)
                shown += self._held_back.pop(key, ())
        return shown

    def _flush_failures(self) -> list[LogItem]:
        """The end events of steps whose lines are complete."""
        shown: list[LogItem] = []
        for slug, step in list(self._pending_ends.items()):
            attempt = step.last_attempt
            if attempt is None or attempt.times.running is None or self._is_complete(slug, attempt):
                del self._pending_ends[slug]
                shown += self._end(step)
        return shown

    def _is_complete(self, slug: str, attempt: Attempt) -> bool:
        return StreamKey(slug, attempt.number, STEP) in self._complete

    def _end(self, step: Step) -> list[LogItem]:
        self._reported[step.slug] = "ended"
        return [StepTransition(step.slug, "ended", step.message or "", step.phase)]


_UPLOADING = ("agent", "upload")
"""The container that stores artifacts; runs of earlier versions had one for that alone."""


def _aside(key: StreamKey) -> str | None:
    """The container of a stream, if it is not the step's own."""
    return None if key.container == STEP else key.container


def failing_containers(attempt: Attempt) -> Iterable[str]:
    """The containers, other than the step's own, that made an attempt fail."""
    if attempt.phase != StepPhase.FAILED:
        return ()
    others = [name for name in attempt.containers if name != STEP]
    if attempt.reason == StepReason.ARTIFACT_UPLOAD_FAILED:
        return [name for name in others if name in _UPLOADING]
    if attempt.times.running is None:
        # The step never ran, so its preparation failed.
        return [name for name in others if name != "upload"]
    return ()
