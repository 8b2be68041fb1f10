"""A run, and the changes of runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from controller.run_types.order import CreationKey, creation_key
from controller.run_types.phases import FINAL_RUN_PHASES
from workbench.client.models.steps import Step

_NEVER = datetime.min.replace(tzinfo=UTC)


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
    def creation_order(self) -> CreationKey[datetime]:
        """What sorts runs as they were created, oldest first: the order of the API's lists."""
        return creation_key(self.created_at or _NEVER, self.number, self.name, self.namespace, self.uid)

    @property
    def is_triggered(self) -> bool:
        """Whether a forge has reported what the run is for; a person or a watch has started the others."""
        return bool(self.raw.get("trigger"))

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
