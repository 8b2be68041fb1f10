"""The objects of the REST API as frozen dataclasses.

Their text comes from pipelines: `workbench.text.sanitize` makes it safe to display.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controller.run_types.phases import FINAL_RUN_PHASES, FINAL_STEP_PHASES, StepPhase
from controller.run_types.reasons import StepReason


@dataclass(frozen=True)
class Diagnostic:
    """A lint result. `line` and `column` count from 1; 0 means the whole file."""

    line: int
    column: int
    path: str
    severity: str
    code: str
    message: str
    hint: str | None


@dataclass(frozen=True)
class LintResponse:
    """Lint results. `would_run` and `why` are None unless the request named an event."""

    problems: tuple[Diagnostic, ...]
    would_run: bool | None
    why: str | None


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
class AttemptTimes:
    """When an attempt reached each milestone; None until then, or if it has no such milestone."""

    queued: datetime | None = None
    """From then on, only limits delayed the attempt."""
    created: datetime | None = None
    scheduled: datetime | None = None
    pulling: datetime | None = None
    fetching: datetime | None = None
    running: datetime | None = None
    finished: datetime | None = None
    uploaded: datetime | None = None


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
class RunEvent:
    """A Kubernetes event about a run, one of its Jobs or one of its pods."""

    type: str
    """`Normal` or `Warning`."""
    reason: str
    message: str
    count: int
    first_time: datetime | None
    last_time: datetime | None
    kind: str
    """The kind of the object that the event is about; `name` is its name."""
    name: str


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


@dataclass(frozen=True)
class Summary:
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0
    running: int = 0
    pending: int = 0


@dataclass(frozen=True)
class CopyOf:
    """The failed step (its slug) that a debug run copies."""

    run: str
    step: str
    attempt: int


@dataclass(frozen=True)
class Run:
    """A run and its status, flattened."""

    name: str
    namespace: str
    uid: str
    number: int
    pipeline: str
    """The pipeline's name."""
    created_at: datetime | None
    resource_version: str
    branch: str | None
    commit: str | None
    event: str | None
    params: Mapping[str, str]
    priority: str | None
    triggered_by: str | None
    rerun_of: str | None
    cancel_requested: bool
    definition: Mapping[str, Any] | None
    """The frozen pipeline; None in lists."""
    phase: str
    reason: str | None
    message: str | None
    start_time: datetime | None
    completion_time: datetime | None
    summary: Summary
    images: str | None
    """`used` or `ignored`; None until the run has started."""
    runtime: str | None
    steps: tuple[Step, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False)
    """The JSON of the response, for `--output json`."""
    critical_path: tuple[str, ...] = ()
    """The names of the chain of steps that took longest; empty until the run has ended."""
    group: str | None = None
    """The concurrency group."""
    created_by: str | None = None
    """The authenticated user who created the run; None if that is not proven. `triggered_by` is what they said."""
    reuse_from: str | None = None
    """The earlier run whose succeeded steps are reused where they would be the same."""
    reuse: bool = False
    """Whether steps may take results of any earlier run of the pipeline."""
    watch: bool = False
    """Whether the run was started because a file was saved."""
    source_uids: tuple[str, ...] = ()
    """The uids of the run and of the one that it reruns: both have the same source."""
    source_commit: str | None = None
    """The commit that the run has cloned, if it is a run on a repository."""
    copy_of: CopyOf | None = None
    """Set for a debug run, which was created for a shell in a failed step."""
    breakpoints: tuple[tuple[str, str], ...] = ()
    """Where steps are held: the step's name, and `before`, `after` or `failed`."""

    @property
    def ended(self) -> bool:
        return self.phase in FINAL_RUN_PHASES

    @property
    def may_reuse(self) -> bool:
        """Whether it was started to reuse what earlier runs have done."""
        return self.reuse or self.reuse_from is not None

    def step(self, name: str) -> Step | None:
        """The step with this name or slug."""
        return next((step for step in self.steps if name in (step.name, step.slug)), None)


@dataclass(frozen=True)
class RunPage:
    items: tuple[Run, ...]
    continue_token: str | None
    """The value of `continue_` for the next page; None on the last one."""
    resource_version: str


@dataclass(frozen=True)
class RunChanged:
    """A run was added or modified."""

    run: Run


@dataclass(frozen=True)
class RunDeleted:
    run: Run


@dataclass(frozen=True)
class RunsListed:
    """All current runs, which replace what was known. It comes first, and again when changes were missed."""

    runs: tuple[Run, ...]


Change = RunChanged | RunDeleted | RunsListed


@dataclass(frozen=True)
class StreamKey:
    """One stream of lines: a container of an attempt of a step (a slug)."""

    step: str
    attempt: int
    container: str


@dataclass(frozen=True)
class LogLine:
    time: int | None
    """Microseconds since 1970; None if unknown."""
    text: str
    """One line without its newline, as the step wrote it: it may contain control characters."""


@dataclass(frozen=True)
class Lines:
    """Consecutive lines, from number `first` (from 1)."""

    key: StreamKey
    first: int
    lines: tuple[LogLine, ...]


@dataclass(frozen=True)
class LinePart:
    """What the line that a stream is writing shows now, such as a progress bar; it replaces the one before.

    `number` is the number that the line will have.
    """

    key: StreamKey
    number: int
    line: LogLine


@dataclass(frozen=True)
class BacklogEnd:
    """All lines written before the stream was opened have been sent."""

    key: StreamKey


@dataclass(frozen=True)
class StreamEnd:
    """The stream is complete with `lines` lines."""

    key: StreamKey
    lines: int


@dataclass(frozen=True)
class Missed:
    """The client read too slowly: the lines `first` to `last` were not sent. `Client.logs` has them."""

    key: StreamKey
    first: int
    last: int


@dataclass(frozen=True)
class RunEnd:
    """The run and all its streams have ended."""


@dataclass(frozen=True)
class CommandStarted:
    """A command of the step has started.

    Attributes:
        index: its index in the step's `commands`, from 0.
        line: the number of the line that its output begins with.
        time: microseconds since 1970; None if unknown.
        text: its first line, shortened.
    """

    key: StreamKey
    index: int
    line: int
    time: int | None
    text: str


@dataclass(frozen=True)
class StepCommand:
    """A command of a step that has started. `end` and `exit_code` are None while it runs."""

    index: int
    text: str
    line: int
    start: datetime | None
    end: datetime | None
    exit_code: int | None


Frame = Lines | LinePart | CommandStarted | BacklogEnd | StreamEnd | Missed | RunEnd


@dataclass(frozen=True)
class SecretNames:
    """A secret's name and its keys. Values never leave the controller."""

    name: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Cluster:
    runtime: str
    images: str
    """`used` or `ignored`: whether steps run in their container images."""
    version: str
    namespaces: tuple[str, ...]

    @property
    def ignores_images(self) -> bool:
        return self.images == "ignored"


@dataclass(frozen=True)
class ComponentHealth:
    """A component of the controller, such as its object store; `message` says what it is waiting for."""

    name: str
    ready: bool
    message: str | None


@dataclass(frozen=True)
class Quota:
    """One limit of a ResourceQuota, as Kubernetes quantities."""

    name: str
    resource: str
    used: str
    hard: str


@dataclass(frozen=True)
class Pod:
    """A pod of a step."""

    name: str
    step: str | None
    run: str | None
    phase: str
    node: str | None
    started_at: datetime | None


@dataclass(frozen=True)
class Health:
    """The state of a namespace. `oldest_wait_seconds` is how long the first queued run has been waiting."""

    components: tuple[ComponentHealth, ...]
    queued_runs: int
    oldest_wait_seconds: float | None
    quotas: tuple[Quota, ...]
    pods: tuple[Pod, ...]


@dataclass(frozen=True)
class SavedPipeline:
    """A pipeline saved in the cluster."""

    name: str
    definition: Mapping[str, Any]
