"""A step of a run, with its attempts and what came of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from controller.run_history import AttemptTimes
from controller.run_types.phases import FINAL_STEP_PHASES, StepPhase
from controller.run_types.reasons import StepReason


@dataclass(frozen=True)
class FirstFailure:
    """The first line of a failed step's log that looks like the failure. `line` counts from 1."""

    line: int
    text: str
    file: str | None = None
    """The source file that the line refers to, and the line in it, if the log names them."""
    file_line: int | None = None


@dataclass(frozen=True)
class LogSummary:
    lines: int
    bytes: int
    sha256: str | None
    archived: bool
    first_failure: FirstFailure | None


@dataclass(frozen=True)
class SavedWorkspace:
    """The saved workspace of a failed attempt: its packed size; or the `problem` that prevented it."""

    bytes: int = 0
    files: int = 0
    skipped: int = 0
    problem: str | None = None


@dataclass(frozen=True)
class TestCounts:
    """How many tests the reports of an attempt have."""

    __test__ = False

    total: int
    failed: int
    skipped: int
    warnings: int = 0
    """Number of reports that could not be read."""
    warning: str | None = None
    """The first of these warnings."""


@dataclass(frozen=True)
class ResourceUsage:
    """What an attempt has used: peaks, and values over time, each for `interval` seconds.

    Memory is bytes (over time MiB), CPU thousandths of a core.
    """

    memory: int
    cpu: int
    samples: int
    interval: float
    memory_over_time: tuple[int, ...] = ()
    cpu_over_time: tuple[int, ...] = ()


@dataclass(frozen=True)
class Attempt:
    number: int
    job_name: str | None
    pod_name: str | None
    phase: str
    reason: str | None
    message: str | None
    exit_code: int | None
    times: AttemptTimes
    containers: tuple[str, ...]
    """Containers that have a log: `step`, and possibly `agent`, `svc-…`."""
    log: LogSummary | None
    saved_workspace: SavedWorkspace | None = None
    held: str | None = None
    """Where a breakpoint holds it, while it does: `before`, `after` or `failed`."""
    tests: TestCounts | None = None
    usage: ResourceUsage | None = None


@dataclass(frozen=True)
class Artifact:
    step: str
    """The slug of the step that produced it."""
    path: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Reused:
    """The attempt of an earlier run whose result a step reuses, with its artifacts and logs."""

    run: str
    slug: str
    attempt: int


@dataclass(frozen=True)
class Step:
    """A step of the expanded pipeline. `slug` is its name in URLs and log frames."""

    name: str
    slug: str
    depends_on: tuple[str, ...]
    allow_failure: bool
    phase: str
    reason: str | None
    message: str | None
    start_time: datetime | None
    completion_time: datetime | None
    artifact_count: int
    """Number of files that it stored; `Client.artifacts` lists them."""
    attempts: tuple[Attempt, ...]
    reused: Reused | None = None
    first_failure: FirstFailure | None = None
    inputs: str | None = None
    """The digest of everything that the step is made from; None while it is unknown."""

    @property
    def ended(self) -> bool:
        return self.phase in FINAL_STEP_PHASES

    @property
    def last_attempt(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None

    @property
    def held(self) -> str | None:
        """Where a breakpoint holds the step, while it does: `before`, `after` or `failed`."""
        if self.reason != StepReason.HELD:
            return None
        return (self.last_attempt.held if self.last_attempt is not None else None) or "before"

    @property
    def state(self) -> str:
        """The phase, or `Held` while a breakpoint holds the step."""
        return StepReason.HELD if self.held is not None else self.phase

    @property
    def can_be_held(self) -> bool:
        """Whether a breakpoint that is set now still counts in this run: its pod is not made yet."""
        return self.phase == StepPhase.PENDING and (
            self.last_attempt is None or self.last_attempt.phase in FINAL_STEP_PHASES
        )

    @property
    def attempt_with_workspace(self) -> Attempt | None:
        """The last attempt whose workspace was saved."""
        attempts = (
            each
            for each in reversed(self.attempts)
            if each.saved_workspace is not None and each.saved_workspace.problem is None
        )
        return next(attempts, None)
