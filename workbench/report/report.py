"""The report of a run: the times of each step, the failures, and the totals.

It holds data only; the user interfaces format and sanitize it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from controller.run_query import run_begin, run_duration
from controller.run_types.phases import StepPhase
from controller.run_types.reasons import StepReason
from workbench.client.models import Attempt, Run, Step

PARTS = ("queued", "starting", "fetching", "pulling", "running", "uploading")
"""The parts of a step's time. Queued: its dependencies are done, but its pod is not scheduled."""


@dataclass(frozen=True)
class PhaseSpan:
    """A part (of `PARTS`) of the time of one attempt. `until` is None while it lasts."""

    part: str
    since: datetime
    until: datetime | None

    def seconds(self, now: datetime) -> float:
        return max(0.0, ((self.until or now) - self.since).total_seconds())


@dataclass(frozen=True)
class StepReport:
    """A row of the summary table. Times are in seconds; None for what did not happen."""

    name: str
    slug: str
    phase: str
    attempts: int
    duration: float | None
    """From the creation of the first attempt's Job to the step's end."""
    parts: dict[str, float]
    """Seconds by part of `PARTS`, over all attempts; a part that did not happen is absent."""
    is_at_gate: bool = False
    """Whether its pod was made ahead and waits for the steps that it depends on."""


@dataclass(frozen=True)
class Failure:
    """The failure of a step. `line` and `text` are the first failing line of its log, if any."""

    name: str
    slug: str
    message: str
    line: int | None
    text: str | None
    allowed: bool
    has_workspace: bool = False
    """Whether its workspace was saved."""
    failed_tests: int = 0
    """How many of its tests failed, as far as its reports say."""


@dataclass(frozen=True)
class RunReport:
    name: str
    phase: str
    message: str | None
    duration: float | None
    steps: tuple[StepReport, ...]
    failures: tuple[Failure, ...]
    counts: tuple[tuple[str, int], ...]
    """The number of steps by phase, without zeros: `(("succeeded", 3), ("skipped", 1))`."""
    reason: str | None = None
    """Of the run's phase."""


def build_report(run: Run, now: datetime) -> RunReport:
    """The report of a run; running steps are counted up to `now`."""
    summary = run.summary
    counts = (
        ("succeeded", summary.succeeded),
        ("failed", summary.failed),
        ("skipped", summary.skipped),
        ("cancelled", summary.cancelled),
        ("running", summary.running),
        ("pending", summary.pending),
    )
    return RunReport(
        name=run.name,
        phase=run.phase,
        message=run.message,
        duration=run_duration(run, now),
        steps=tuple(_step(run, step, now) for step in run.steps),
        failures=tuple(_failure(step) for step in run.steps if step.phase == StepPhase.FAILED),
        counts=tuple((name, count) for name, count in counts if count),
        reason=run.reason,
    )


def step_spans(run: Run, step: Step) -> tuple[PhaseSpan, ...]:
    """The parts of a step's time in order, without gaps, one attempt after the other."""
    return _spans(run, step, [other.completion_time for other in run.steps if other.name in step.depends_on])


def run_spans(run: Run) -> dict[str, tuple[PhaseSpan, ...]]:
    """The parts of the time of each step, by its name. For large runs: it looks at each step once."""
    ended = {step.name: step.completion_time for step in run.steps}
    return {step.name: _spans(run, step, [ended.get(name) for name in step.depends_on]) for step in run.steps}


def _spans(run: Run, step: Step, needed: Iterable[datetime | None]) -> tuple[PhaseSpan, ...]:
    """`needed`: when the dependencies of the step ended."""
    found: list[PhaseSpan] = []
    ready = max((time for time in needed if time is not None), default=None) or run_begin(run)
    for attempt in step.attempts:
        found += _attempt_spans(attempt, ready, step)
        ready = attempt.times.uploaded or attempt.times.finished
    return tuple(found)


def _attempt_spans(attempt: Attempt, ready: datetime | None, step: Step) -> list[PhaseSpan]:
    times = attempt.times
    stations = [
        ("queued", times.queued or _earliest(ready, times.created)),
        ("starting", times.scheduled),
        ("fetching", times.fetching),
        ("pulling", times.pulling),
        ("running", times.running),
        ("uploading", times.finished if _has_upload(attempt, step) else None),
    ]
    ended = attempt.phase != StepPhase.RUNNING
    end = _attempt_end(attempt, step) if ended else None
    reached = [(part, since) for part, since in stations if since is not None]
    found = []
    for index, (part, since) in enumerate(reached):
        until = reached[index + 1][1] if index + 1 < len(reached) else end
        if until is None and ended:
            break  # The end time is unknown.
        found.append(PhaseSpan(part, since, until))
    return found


def _attempt_end(attempt: Attempt, step: Step) -> datetime | None:
    """When an attempt that has ended did so; that of a failed or stopped upload is known as the end of its step."""
    times = attempt.times
    if times.uploaded is not None or times.finished is None:
        return times.uploaded or step.completion_time
    is_last = attempt is step.attempts[-1] and _has_upload(attempt, step)
    return max(times.finished, step.completion_time) if is_last and step.completion_time else times.finished


def _has_upload(attempt: Attempt, step: Step) -> bool:
    """Whether the step waited after its commands until what they left was stored, or does so now."""
    times = attempt.times
    if times.uploaded is not None or "upload" in attempt.containers:
        return True
    if "agent" not in attempt.containers or times.finished is None or attempt is not step.attempts[-1]:
        return False
    return attempt.phase == StepPhase.RUNNING or (step.completion_time or times.finished) > times.finished


def _earliest(ready: datetime | None, created: datetime | None) -> datetime | None:
    """The earlier of the two: a Job created before `ready` shows that `ready` is too late."""
    if ready is None or created is None:
        return created
    return min(ready, created)


def _step(run: Run, step: Step, now: datetime) -> StepReport:
    parts: dict[str, float] = {}
    for span in step_spans(run, step):
        # In the summary table, pulling an image is a part of starting.
        part = "starting" if span.part == "pulling" else span.part
        parts[part] = parts.get(part, 0.0) + span.seconds(now)
    return StepReport(
        name=step.name,
        slug=step.slug,
        phase=step.phase,
        attempts=len(step.attempts),
        duration=sum(parts.values()) if parts else None,
        parts=parts,
        is_at_gate=step.reason == StepReason.WAITING_AT_GATE,
    )


def _failure(step: Step) -> Failure:
    attempt = step.last_attempt
    first = attempt.log.first_failure if attempt is not None and attempt.log is not None else None
    message = step.message or (attempt.message if attempt is not None else None) or step.reason or "failed"
    return Failure(
        name=step.name,
        slug=step.slug,
        message=message,
        line=first.line if first else None,
        text=first.text if first else None,
        allowed=step.allow_failure,
        has_workspace=step.attempt_with_workspace is not None,
        failed_tests=attempt.tests.failed if attempt is not None and attempt.tests is not None else 0,
    )


def end_time(now: Callable[[], datetime], run: Run) -> datetime:
    """The completion time of a run, or the current time while it is in progress."""
    return run.completion_time or now()
