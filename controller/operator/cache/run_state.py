"""What is known of one active run between reconciles. It can be rebuilt from the cluster and the object store."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller.operator.cache.owned_resources import attempt_key_of
from controller.operator.cache.run_plan import RunPlan
from controller.operator.cache.timers import RunTimers
from controller.operator.cache.trim import trim_job
from controller.operator.decision.inputs.reuse import KnownInputs, ReusableStep
from controller.operator.decision.observation import (
    CreateFailure,
    Milestones,
    PipelineVerdict,
    WaitingReports,
    update_milestones,
)
from controller.operator.gate import is_closed
from controller.operator.run_object import status_of
from controller.run_types import summary
from controller.run_types.keys import AttemptKey
from controller.run_types.status_size import UNSHORTENED, json_size

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject, RunSpec, RunStatus

Json = dict[str, Any]

_REMEMBERED_VERSIONS = 32
"""The informer is never so many writes behind."""
_REMEMBERED_WRITES = 8
"""While no answers come the status hardly changes: nothing is seen of the cluster."""


@dataclass(frozen=True)
class RunSecrets:
    """The run's own Secrets.

    Attributes:
        ready: whether they exist in the cluster.
        values: the copied values, by their key in the run's Secret.
        missing: name of a step -> the Secret or key that it lacks, as a sentence.
        digests: name of a step with secrets, none of which is missing -> a digest of their values.
        error: why they could not be created, at the last attempt.
    """

    ready: bool = False
    values: Mapping[str, bytes] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass
class StatusRecord:
    """The status of the run as decided, and as the API server has it.

    Attributes:
        current: as decided last; it may not be written yet.
        server: as the API server returned it last. If it has another one, something else writes it too.
        resource_version: of the run, which the next write is based on.
        written: the status that was written last.
        sent: the statuses that were sent since the last answer, as decided and as sent: any of them may have arrived.
        sent_at: when one was sent last, in seconds on a clock that is never set.
        shortening: how much of it is left out, see `status_size.shorten`: it never becomes smaller again.
        versions: the resourceVersions of the last writes.
        is_suspect: whether a status was seen that is not one of these; it has to be looked at.
    """

    current: RunStatus
    server: RunStatus
    resource_version: str
    written: RunStatus | None = None
    sent: deque[tuple[RunStatus, RunStatus]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_WRITES))
    sent_at: float | None = None
    shortening: int = UNSHORTENED
    versions: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_VERSIONS))
    is_suspect: bool = False

    def note_sent(self, decided: RunStatus, body: RunStatus) -> None:
        """A status is about to be sent."""
        if not self.sent or self.sent[-1][1] != body:
            self.sent.append((decided, body))

    def on_written(self, run: RunObject, status: RunStatus) -> None:
        """The API server has accepted a status, and returned the run."""
        self.written, self.server = status, status_of(run)
        self.resource_version = run["metadata"]["resourceVersion"]
        self.versions.append(self.resource_version)
        self.sent.clear()

    def is_own(self, run: RunObject) -> bool:
        """Whether the status of a run as it is seen now was written by this process, or read at its start."""
        if run["metadata"]["resourceVersion"] in self.versions:
            return True
        # The answer to a write may be on its way.
        seen = summary.status_of(run)
        return seen == self.server or any(seen == body for _, body in self.sent)

    @property
    def has_started(self) -> bool:
        """Whether any step has an attempt."""
        return any(step.get("attempts") for step in self.current.get("steps") or [])


@dataclass
class ObservedCache:
    """What was observed of the run's attempts, apart from their Jobs and pods.

    Attributes:
        created_jobs: the Jobs of attempts, as the API server returned them; the informer may not have them yet.
        deleted_job_uids: the uids of Jobs whose deletion was observed.
        opened_jobs: the uids of Jobs whose gates were opened; the informer may not show that yet.
        withdrawn_jobs: the names, by uid, of Jobs that were made ahead and deleted.
        not_early: the slugs of steps of which nothing is made ahead any more.
        early_count: Jobs with a closed gate at the last observation.
        missing_jobs: attempts whose Jobs the API server does not have.
        podless_jobs: the uids of Jobs of which the API server has no pod.
        unanswered: attempts whose Jobs may exist: no answer came to the request to create them.
        create_failures: why the Job of an attempt was not created.
        create_failure_counts: how often the creation of an attempt's Job failed.
        milestones: by the pod's uid.
        manifests: the manifest of an attempt's artifacts, None if the store has none.
        workspaces: the manifest of a failed attempt's workspace, None if the store has none.
        waiting: what was read about the attempts that wait for a queue of the cluster, or a node.
        settled_steps: slugs of ended steps that need no further observation.
        settled_attempts: the same of attempts that were followed by another one.
    """

    created_jobs: dict[AttemptKey, Json] = field(default_factory=dict)
    deleted_job_uids: set[str] = field(default_factory=set)
    opened_jobs: set[str] = field(default_factory=set)
    withdrawn_jobs: dict[str, str] = field(default_factory=dict)
    not_early: set[str] = field(default_factory=set)
    early_count: int = 0
    missing_jobs: set[AttemptKey] = field(default_factory=set)
    podless_jobs: set[str] = field(default_factory=set)
    unanswered: set[AttemptKey] = field(default_factory=set)
    create_failures: dict[AttemptKey, CreateFailure] = field(default_factory=dict)
    create_failure_counts: Counter[AttemptKey] = field(default_factory=Counter)
    milestones: dict[str, Milestones] = field(default_factory=dict)
    manifests: dict[AttemptKey, Json | None] = field(default_factory=dict)
    workspaces: dict[AttemptKey, Json | None] = field(default_factory=dict)
    waiting: WaitingReports = field(default_factory=WaitingReports)
    settled_steps: frozenset[str] = frozenset()
    settled_attempts: frozenset[AttemptKey] = frozenset()

    def on_pod(self, pod: Json, now: datetime) -> None:
        """A pod of the run has changed or was deleted."""
        self._invalidate(pod)
        self.observe_milestones(pod, now)

    def observe_milestones(self, pod: Json, now: datetime) -> None:
        """Record the milestones that a pod shows."""
        uid = pod["metadata"]["uid"]
        self.milestones[uid] = update_milestones(pod, self.milestones.get(uid, Milestones()), now)

    def on_image_pull(self, pod: Json, now: datetime) -> bool:
        """An image of the pod is being pulled; returns whether that was new."""
        uid = pod["metadata"]["uid"]
        known = self.milestones.get(uid, Milestones())
        if known.pulling is not None or known.running is not None:
            return False
        self.milestones[uid] = replace(known, pulling=now)
        return True

    def on_job(self, job: Json, *, deleted: bool) -> None:
        """A Job of the run has changed or was deleted."""
        key = self._invalidate(job)
        if deleted:
            uid = job["metadata"]["uid"]
            self.on_job_gone(uid)
            if key is not None and is_closed(job) and uid not in self.opened_jobs:
                # Also where the answer to its withdrawal was lost.
                self.on_job_withdrawn(key, job["metadata"]["name"], uid)

    def on_job_gone(self, uid: str) -> None:
        """A Job does not exist any more."""
        self.deleted_job_uids.add(uid)
        self.created_jobs = {key: job for key, job in self.created_jobs.items() if job["metadata"]["uid"] != uid}

    def on_job_created(self, key: AttemptKey, job: Json) -> bool:
        """The API server has returned the Job of an attempt; returns whether it still exists."""
        exists = job["metadata"]["uid"] not in self.deleted_job_uids
        self.unanswered.discard(key)
        self.missing_jobs.discard(key)
        if exists:
            self.create_failures.pop(key, None)
            self.created_jobs[key] = trim_job(job)
        return exists

    def on_gate_opened(self, key: AttemptKey, job: Json) -> None:
        """The API server has returned a Job whose gate is open."""
        self.opened_jobs.add(job["metadata"]["uid"])
        self.created_jobs[key] = trim_job(job)

    def on_job_withdrawn(self, key: AttemptKey, name: str, uid: str) -> None:
        """A Job that was made ahead does not exist any more. Nothing is made ahead of that step again."""
        self.withdrawn_jobs[uid] = name
        self.not_early.add(key.slug)
        self.on_job_gone(uid)

    def _invalidate(self, obj: Json) -> AttemptKey | None:
        """The step of a changed Job or pod has to be observed again; returns the attempt that the labels name."""
        key = attempt_key_of(obj)
        if key is not None:
            self.settled_steps -= {key.slug}
            self.settled_attempts -= {key}
        return key


@dataclass
class RunState:
    """One active run.

    Attributes:
        first_seen: when this process first reconciled it.
        creator: the user who created it, if that is proven.
        reusable: what earlier runs offer, by input digest; None before anything was loaded.
        looked_up: the digests that were looked for among all runs of the pipeline.
        holds_lock: whether it holds the lock of its concurrency group, which it keeps until it ends.
        is_done: whether its final status is written and nothing is left to do.
    """

    plan: RunPlan
    first_seen: datetime
    status: StatusRecord
    creator: str | None = None
    observed: ObservedCache = field(default_factory=ObservedCache)
    secrets: RunSecrets = field(default_factory=RunSecrets)
    timers: RunTimers = field(default_factory=RunTimers)
    other_bytes: int = 0
    """The size of the run without its status."""
    verdict: PipelineVerdict | None = None
    """Why the run ends after its clone step, once its pipeline file was read and starts nothing."""
    resolved: RunSpec | None = None
    """The run's spec with the pipeline that was read from the repository, which the informer may not show yet."""
    reusable: dict[str, ReusableStep] | None = None
    looked_up: set[str] = field(default_factory=set)
    holds_lock: bool = False
    is_done: bool = False
    prestartable: frozenset[str] | None = None
    """Names of the steps whose pods may be made ahead by their definition; None before it was asked for."""
    provided: dict[AttemptKey, dict[str, bytes]] = field(default_factory=dict)
    """The values that the CSI driver has mounted into attempts, by the key of their copy."""
    queue: str | None = None
    """The queue of the cluster that the run's Jobs wait in, empty for none; None before it was asked for."""
    input_files: Mapping[str, str] | None = None
    """Of steps with `inputs`: the digest of the files that they select. None before the source was read."""
    _input_digests: tuple[KnownInputs, dict[str, str]] | None = None
    """The digests, and what they were computed from."""

    @property
    def uid(self) -> str:
        return self.plan.uid

    def resolve(self, run: RunObject, plan: RunPlan) -> None:
        """Go on with the pipeline that was read from the repository: `run` has it, as the API server returned it."""
        self.plan, self.resolved = plan, run["spec"]
        self.status.resource_version = run["metadata"]["resourceVersion"]
        self.other_bytes = json_size({field: value for field, value in run.items() if field != "status"})
        # What the steps use is only known now; the logs of the clone step are masked of its credentials meanwhile.
        self.secrets = RunSecrets()
        self.prestartable = self.queue = None
        self.input_files = self._input_digests = None

    def input_digests(self, spec: RunSpec) -> dict[str, str]:
        """Name of a step -> digest of what it is made from, as far as that is known."""
        source, step = self.status.current.get("source"), self.plan.source_step
        known = KnownInputs(source, step, self.input_files or {}, self.secrets.digests)
        if self._input_digests is None or self._input_digests[0] != known:
            self._input_digests = known, self.plan.input_digests(spec, known)
        return self._input_digests[1]


def new_run_state(run: RunObject, plan: RunPlan, now: datetime, creator: str | None = None) -> RunState:
    """The state of a run that was not known before."""
    status = status_of(run)
    record = StatusRecord(status, status, run["metadata"]["resourceVersion"], written=run.get("status"))
    others = {field: value for field, value in run.items() if field != "status"}
    return RunState(plan, now, record, creator, other_bytes=json_size(others))
