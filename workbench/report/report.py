"""What to say about a run: where each step's time went, what failed first, and how it all ended.

Data only; the faces lay it out and make its text harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from controller.run_types.phases import StepPhase
from workbench.client.models import Attempt, Run, Step

PARTS = ("queued", "starting", "fetching", "pulling", "running", "uploading")
"""Where a step's time can go. Queued: everything it needs is done, and it has no pod on a node yet."""


@dataclass(frozen=True)
class PhaseSpan:
    """A part (of `PARTS`) of a step's time, of one attempt. It still goes on when `until` is None."""

    part: str
    since: datetime
    until: datetime | None

    def seconds(self, now: datetime) -> float:
        return max(0.0, ((self.until or now) - self.since).total_seconds())


@dataclass(frozen=True)
class StepReport:
    """A row of the closing table. Times are in seconds; None for what did not happen."""

    name: str
    slug: str
    phase: str
    attempts: int
    duration: float | None
    """From the creation of the first attempt's Job to the step's end."""
    parts: dict[str, float]
    """Seconds by part of `PARTS`, all attempts together; a part that did not happen is absent."""


@dataclass(frozen=True)
class Failure:
    """Why a step failed. `line` and `text` are the first failing line of its log, where there is one."""

    name: str
    slug: str
    message: str
    line: int | None
    text: str | None
    allowed: bool
    has_workspace: bool = False
    """Whether its workspace can be entered."""


@dataclass(frozen=True)
class RunReport:
    name: str
    phase: str
    message: str | None
    duration: float | None
    steps: tuple[StepReport, ...]
    failures: tuple[Failure, ...]
    counts: tuple[tuple[str, int], ...]
    """How many steps ended how, without the zeros: `(("succeeded", 3), ("skipped", 1))`."""


def build_report(run: Run, now: datetime) -> RunReport:
    """The report of a run, ended or not; what goes on is counted up to `now`."""
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
    )


def run_duration(run: Run, now: datetime) -> float | None:
    """Seconds from the run's beginning to its end, or up to `now`."""
    begin = _begin(run)
    return None if begin is None else max(0.0, ((run.completion_time or now) - begin).total_seconds())


def step_spans(run: Run, step: Step) -> tuple[PhaseSpan, ...]:
    """Where the time of a step went, in order, one attempt after the other, without gaps."""
    found: list[PhaseSpan] = []
    ready = _ready(run, step)
    for attempt in step.attempts:
        found += _attempt_spans(attempt, ready, step)
        ready = attempt.times.uploaded or attempt.times.finished
    return tuple(found)


def _ready(run: Run, step: Step) -> datetime | None:
    """When everything the step waits for had ended."""
    needed = [other.completion_time for other in run.steps if other.name in step.depends_on]
    known = [time for time in needed if time is not None]
    return max(known) if known else _begin(run)


def _begin(run: Run) -> datetime | None:
    """When the run began. Kubernetes tells its creation in whole seconds only: it counts when that was much earlier."""
    created, started = run.created_at, run.start_time
    if created is None or started is None:
        return started or created
    return started if (started - created).total_seconds() < 1.0 else created


def _attempt_spans(attempt: Attempt, ready: datetime | None, step: Step) -> list[PhaseSpan]:
    times = attempt.times
    stations = [
        ("queued", times.queued or _earliest(ready, times.created)),
        ("starting", times.scheduled),
        ("fetching", times.fetching),
        ("pulling", times.pulling),
        ("running", times.running),
        ("uploading", times.finished if "upload" in attempt.containers or times.uploaded else None),
    ]
    ended = attempt.phase != StepPhase.RUNNING
    end = (times.uploaded or times.finished or step.completion_time) if ended else None
    reached = [(part, since) for part, since in stations if since is not None]
    found = []
    for index, (part, since) in enumerate(reached):
        until = reached[index + 1][1] if index + 1 < len(reached) else end
        if until is None and ended:
            break  # It ended, but nobody saw when.
        found.append(PhaseSpan(part, since, until))
    return found


def _earliest(ready: datetime | None, created: datetime | None) -> datetime | None:
    """A Job that was made before we think it could be tells that our clock reading of `ready` is late."""
    if ready is None or created is None:
        return created
    return min(ready, created)


def _step(run: Run, step: Step, now: datetime) -> StepReport:
    parts: dict[str, float] = {}
    for span in step_spans(run, step):
        # Of the closing table's columns; waiting for an image is a part of starting there.
        part = "starting" if span.part == "pulling" else span.part
        parts[part] = parts.get(part, 0.0) + span.seconds(now)
    return StepReport(
        name=step.name,
        slug=step.slug,
        phase=step.phase,
        attempts=len(step.attempts),
        duration=sum(parts.values()) if parts else None,
        parts=parts,
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
    )


def end_time(now: Callable[[], datetime], run: Run) -> datetime:
    """The time to count up to for a run that goes on; an ended one stands still."""
    return run.completion_time or now()
