"""What the controller tells, as frozen dataclasses.

Nothing here draws, and no text is made harmless here: see `workbench.text.sanitize`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

RUN_ENDED = frozenset({"Succeeded", "Failed", "Cancelled"})
STEP_ENDED = frozenset({"Succeeded", "Failed", "Skipped", "Cancelled"})


@dataclass(frozen=True)
class Diagnostic:
    """A finding of lint. `line` and `column` count from 1; 0 means the whole file."""

    line: int
    column: int
    path: str
    severity: str
    code: str
    message: str
    hint: str | None


@dataclass(frozen=True)
class LintResponse:
    """`would_run` and `why` are None unless an event was asked about."""

    problems: tuple[Diagnostic, ...]
    would_run: bool | None
    why: str | None


@dataclass(frozen=True)
class FirstFailure:
    """The first line of a failed step's log that looks like the failure. `line` counts from 1."""

    line: int
    text: str
    file: str | None = None
    """The file that the line is about, and the line in it, where the log tells them."""
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
    """When an attempt reached each station; None until it has (or where it has no such station)."""

    queued: datetime | None = None
    """From here on nothing but limits held it back."""
    created: datetime | None = None
    scheduled: datetime | None = None
    pulling: datetime | None = None
    fetching: datetime | None = None
    running: datetime | None = None
    finished: datetime | None = None
    uploaded: datetime | None = None


@dataclass(frozen=True)
class SavedWorkspace:
    """What was kept of the workspace of a failed attempt: so many bytes, packed; or the `problem` that hindered it."""

    bytes: int = 0
    files: int = 0
    skipped: int = 0
    problem: str | None = None


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
    """Containers that have a log: `step`, and maybe `fetch`, `upload`, `svc-…`."""
    log: LogSummary | None
    saved_workspace: SavedWorkspace | None = None


@dataclass(frozen=True)
class Artifact:
    step: str
    """The slug of the step that made it."""
    path: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Reused:
    """Whose work a step was spared: its artifacts and logs are those of this attempt."""

    run: str
    slug: str
    attempt: int


@dataclass(frozen=True)
class RunEvent:
    """What the cluster says happened to a run, one of its Jobs or one of its pods."""

    type: str
    """`Normal` or `Warning`."""
    reason: str
    message: str
    count: int
    first_time: datetime | None
    last_time: datetime | None
    kind: str
    """Of the object that it is about."""
    name: str


@dataclass(frozen=True)
class Step:
    """A step of the expanded pipeline. `slug` is its name in addresses and log frames."""

    name: str
    slug: str
    depends_on: tuple[str, ...]
    allow_failure: bool
    phase: str
    reason: str | None
    message: str | None
    start_time: datetime | None
    completion_time: datetime | None
    artifacts: tuple[Artifact, ...]
    attempts: tuple[Attempt, ...]
    reused: Reused | None = None
    first_failure: FirstFailure | None = None

    @property
    def ended(self) -> bool:
        return self.phase in STEP_ENDED

    @property
    def last_attempt(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None

    @property
    def attempt_with_workspace(self) -> Attempt | None:
        """The last attempt whose workspace was kept."""
        kept = (
            each
            for each in reversed(self.attempts)
            if each.saved_workspace is not None and each.saved_workspace.problem is None
        )
        return next(kept, None)


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
    """The failed step (its slug) that a run is a copy of."""

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
    """The JSON as it came, for `--output json` and views of everything."""
    critical_path: tuple[str, ...] = ()
    """At the end: the chain of steps (by name) that took longest."""
    group: str | None = None
    """The concurrency group."""
    copy_of: CopyOf | None = None
    """Of a copy of a failed step, made for a shell in it."""

    @property
    def ended(self) -> bool:
        return self.phase in RUN_ENDED

    def step(self, name: str) -> Step | None:
        """The step with this name or slug."""
        return next((step for step in self.steps if name in (step.name, step.slug)), None)


@dataclass(frozen=True)
class RunPage:
    items: tuple[Run, ...]
    continue_token: str | None
    """Hand this in as `continue_` for the next page; None on the last."""
    resource_version: str


@dataclass(frozen=True)
class RunChanged:
    """A run is new, or not as it was."""

    run: Run


@dataclass(frozen=True)
class RunDeleted:
    run: Run


@dataclass(frozen=True)
class RunsListed:
    """All that is there now: forget what you knew. Comes first, and again when changes were missed."""

    runs: tuple[Run, ...]


Change = RunChanged | RunDeleted | RunsListed


@dataclass(frozen=True)
class StreamKey:
    """One stream of lines: a container of an attempt of a step (by its slug)."""

    step: str
    attempt: int
    container: str


@dataclass(frozen=True)
class LogLine:
    time: str | None
    """RFC 3339 with microseconds, UTC; None where it is not known."""
    text: str
    """One line without its newline, as the step wrote it: it may hold control characters."""


@dataclass(frozen=True)
class Lines:
    """Consecutive lines, from number `first` (from 1)."""

    key: StreamKey
    first: int
    lines: tuple[LogLine, ...]


@dataclass(frozen=True)
class BacklogEnd:
    """The backlog of this stream is over."""

    key: StreamKey


@dataclass(frozen=True)
class StreamEnd:
    """The stream is complete with `lines` lines."""

    key: StreamKey
    lines: int


@dataclass(frozen=True)
class Missed:
    """We read too slowly: the lines `first` to `last` were not sent. `Client.logs` has them."""

    key: StreamKey
    first: int
    last: int


@dataclass(frozen=True)
class RunEnd:
    """The run has ended and every stream with it."""


Frame = Lines | BacklogEnd | StreamEnd | Missed | RunEnd


@dataclass(frozen=True)
class SecretNames:
    """A secret's name and its keys. Values never leave the controller."""

    name: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Cluster:
    runtime: str
    images: str
    """`used` or `ignored`: whether steps run in their images."""
    version: str
    namespaces: tuple[str, ...]

    @property
    def ignores_images(self) -> bool:
        return self.images == "ignored"


@dataclass(frozen=True)
class ComponentHealth:
    """A part of the controller, such as its store; `message` says what it waits for."""

    name: str
    ready: bool
    message: str | None


@dataclass(frozen=True)
class Quota:
    """One limit of a ResourceQuota, in Kubernetes' quantities."""

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
    """How a namespace is doing. `oldest` is how long, in seconds, the first of the waiting runs has waited."""

    components: tuple[ComponentHealth, ...]
    queued_runs: int
    oldest_wait_seconds: float | None
    quotas: tuple[Quota, ...]
    pods: tuple[Pod, ...]


@dataclass(frozen=True)
class SavedPipeline:
    """A pipeline that is kept in the cluster."""

    name: str
    definition: Mapping[str, Any]
