"""What is observed of a run besides its status: its attempts, failures to create Jobs, and blocking runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from controller.operator import names
from controller.operator.decision.inputs.reuse import ReusableStep
from controller.operator.decision.pods.agent_report import (
    NOTHING_REPORTED,
    AgentReport,
    agent_end,
    agent_fetch_failure,
    fetches,
    has_gate,
    read_report,
)
from controller.operator.decision.pods.status import (
    conditions,
    container_status,
    is_pod_finished,
)
from controller.run_types.keys import AttemptKey

if TYPE_CHECKING:
    from controller.run_types.objects import LogSummary, PipelineProblem, ResourceUsage, RuntimeInfo
    from controller.run_types.phases import RunPhase
    from controller.run_types.reasons import RunReason

Json = dict[str, Any]

# Times in a pod are whole seconds; what is older than this was not seen happening.
_MAX_OBSERVATION_DELAY = timedelta(seconds=2)


@dataclass(frozen=True)
class Milestones:
    """When each was first observed, or, if that was late, the time in the pod, which has whole seconds."""

    scheduled: datetime | None = None
    fetching: datetime | None = None
    pulling: datetime | None = None
    """The first pull of an image of its own: of the step or of a service."""
    running: datetime | None = None
    finished: datetime | None = None
    uploaded: datetime | None = None
    """The end of the agent that uploads, whatever it achieved."""

    def with_report(self, report: AgentReport) -> Milestones:
        """With what the agent has reported and the pod does not show."""
        return self if self.running is not None or report.began is None else replace(self, running=report.began)


@dataclass(frozen=True)
class AttemptView:
    """What is known of one attempt besides its status: all None when nothing was seen yet."""

    job: Json | None = None
    pod: Json | None = None
    milestones: Milestones = Milestones()
    manifest: Json | None = None
    """What the agent has committed."""
    manifest_read: bool = False
    """Whether the manifest was read after the upload ended."""
    workspace: Json | None = None
    """The manifest of the saved workspace of a failed attempt."""
    workspace_read: bool = False
    """Whether that manifest was read after the upload ended."""
    log: LogSummary | None = None
    """The log object, once the step's log is archived."""
    open_logs: tuple[str, ...] = ()
    """Containers whose logs are not archived yet."""
    job_missing: bool = False
    """Whether the API server confirmed that the attempt's Job does not exist."""
    pod_missing: bool = False
    """Whether the API server confirmed that the attempt's Job has no pod."""
    pod_create_error: str = ""
    """Why the cluster did not create the Job's pod, as it reported last."""
    agent_error: str = ""
    """Why the agent failed, in its own words."""
    report: AgentReport = NOTHING_REPORTED
    """What the agent has reported about the step."""
    usage: ResourceUsage | None = None
    """What the step has used so far; None where nothing was measured."""
    gate_closed: bool = False
    """Whether it was made ahead, and its gate is not opened."""
    waiting: str = ""
    """What it waits for outside of the run, as it was read last."""
    runtime_error: str | None = ""
    """Why the container runtime could not start the step; None while secrets can't be masked in that yet."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing new can be observed: the pod has ended, and all its logs are archived."""
        return self.pod is not None and is_pod_finished(self.pod) and self.log is not None and not self.open_logs


_EMPTY_VIEW = AttemptView()


class Timer(StrEnum):
    """What a time limit counts from."""

    RUN_STARTED = "run-started"
    LOGS_AWAITED = "logs-awaited"
    """All steps of the run have ended, and it waits for their logs."""
    ATTEMPT_CREATED = "attempt-created"
    ATTEMPT_RUNNING = "attempt-running"
    ATTEMPT_UNCONFIRMED = "attempt-unconfirmed"
    """The attempt has succeeded by its own word, and the kubelet has not noticed it."""
    ATTEMPT_FAILED = "attempt-failed"
    """The attempt has failed, and the step is to be retried."""


class TimerKey(NamedTuple):
    """Identifies a timer of a run; slug and number are those of the attempt, if it is an attempt's."""

    timer: Timer
    slug: str = ""
    number: int = 0


RUN_TIMER = TimerKey(Timer.RUN_STARTED)
LOGS_TIMER = TimerKey(Timer.LOGS_AWAITED)


@dataclass(frozen=True)
class EarlyPod:
    """A Job that was made ahead and whose gate is closed, and its pod."""

    job: Json
    pod: Json | None = None
    pod_create_error: str = ""
    """Why the cluster did not create the pod, as it reported last."""

    @property
    def is_usable(self) -> bool:
        """Whether its step can begin in it: nothing of it has ended or is being deleted."""
        if "deletionTimestamp" in self.job["metadata"] or conditions(self.job):
            return False
        if self.pod is None:
            return True
        own = container_status(self.pod, names.STEP_CONTAINER) or {}
        is_over = is_pod_finished(self.pod) or "deletionTimestamp" in self.pod["metadata"]
        return not is_over and "terminated" not in (own.get("state") or {})

    @property
    def lacks_room(self) -> bool:
        """Whether the cluster has no room for its pod."""
        if self.pod is None:
            return bool(self.pod_create_error)
        return any(each["type"] == "PodScheduled" and each["status"] == "False" for each in conditions(self.pod))


@dataclass(frozen=True)
class WaitingReports:
    """What was read about the attempts that wait, and when, in seconds of the monotonic clock."""

    messages: Mapping[AttemptKey, str] = field(default_factory=dict)
    asked: frozenset[AttemptKey] = frozenset()
    read_at: float = float("-inf")


@dataclass(frozen=True)
class CreateFailure:
    """The API server rejected the Job of an attempt.

    Attributes:
        final: whether its creation is not retried.
        retry_at: otherwise, when it is retried, in seconds of the monotonic clock.
    """

    reason: str
    message: str
    final: bool
    retry_at: float


@dataclass(frozen=True)
class BlockingRun:
    """A run that has to end before another one of its concurrency group starts."""

    name: str
    uid: str
    created_before: bool
    """Whether it is older. The policy `cancel-running` cancels only older runs."""
    cancel_requested: bool
    """Whether it is being cancelled already."""


@dataclass(frozen=True)
class PipelineVerdict:
    """Why a run ends after its clone step: the pipeline file is not valid, or asks for no run."""

    phase: RunPhase
    reason: RunReason
    message: str
    problems: tuple[PipelineProblem, ...] = ()


@dataclass(frozen=True)
class Observation:
    """Everything that a decision is based on besides the run itself."""

    attempts: Mapping[AttemptKey, AttemptView]
    """By slug and number; also those that the status does not know yet, without those of `settled` steps."""
    create_failures: Mapping[AttemptKey, CreateFailure] = field(default_factory=dict)
    """By slug and number."""
    missing_secrets: Mapping[str, str] = field(default_factory=dict)
    """Step name -> what it lacks."""
    secrets_ready: bool = False
    """Whether the run's own Secrets exist."""
    prepare_error: str = ""
    """Why they could not be created so far."""
    unschedulable: Mapping[str, str] = field(default_factory=dict)
    """Step name -> why no node can ever take it."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Step name -> digest of what it is made from, as far as that is known."""
    reusable: Mapping[str, ReusableStep] = field(default_factory=dict)
    """Step name -> what an earlier run has of it."""
    recorded_reuse: frozenset[str] = frozenset()
    """Names of the reused steps that are in the written status, so that agents can fetch their artifacts."""
    source_step: str | None = None
    """The name of the step that clones, in a run on a repository."""
    source_recorded: bool = True
    """Whether the written status has the source, so that agents can fetch it."""
    unmet_conditions: Mapping[str, str] = field(default_factory=dict)
    """Name of a step whose condition does not hold -> the reason."""
    group: str | None = None
    """Its concurrency group, filled in."""
    blocking_runs: tuple[BlockingRun, ...] = ()
    """The runs of its concurrency group that have to end before it starts."""
    first_seen: datetime | None = None
    """When this process first reconciled the run."""
    creator: str | None = None
    """The user who created the run, if that is proven."""
    monotonic: float = 0.0
    """The time of the observation in seconds of the monotonic clock."""
    elapsed: Mapping[TimerKey, timedelta] = field(default_factory=dict)
    """What the timers show. What is missing was not known at the last decision."""
    runtime: RuntimeInfo | None = None
    is_unresolved: bool = False
    """Whether the pipeline is in the repository, and is not known yet."""
    verdict: PipelineVerdict | None = None
    """Why the run ends without a pipeline, if it does."""
    early: Mapping[str, EarlyPod] = field(default_factory=dict)
    """Slug of a step -> what was made ahead of it, and has no attempt in the status."""
    prestartable: frozenset[str] = frozenset()
    """Names of the steps whose pods may be made ahead, as far as their definition says."""
    waiting: WaitingReports = field(default_factory=WaitingReports)
    """What was read about the attempts that wait for a queue of the cluster, or a node."""
    unread_secrets: Mapping[AttemptKey, tuple[str, ...]] = field(default_factory=dict)
    """Attempts that mount a SecretProviderClass and have started -> the Secrets that the driver makes, not read yet."""
    is_crowded: bool = False
    """Whether pods wait for room in the cluster."""
    unanswered: frozenset[AttemptKey] = frozenset()
    """Attempts that were not observed, and whose Jobs may exist: the request to create one was not answered."""
    settled_steps: frozenset[str] = frozenset()
    """Slugs of steps that have ended and need no further observation: their status stays as it is."""
    settled_attempts: frozenset[AttemptKey] = frozenset()
    """The same of attempts that were followed by another one."""

    def view(self, slug: str, number: int) -> AttemptView:
        """What is known of an attempt; an empty view for one that was not observed."""
        return self.attempts.get(AttemptKey(slug, number), _EMPTY_VIEW)

    def due(self, key: TimerKey, since: datetime, limit: timedelta, now: datetime) -> datetime:
        """When a time limit is over; by the wall clock if `since` was not known at the last decision."""
        elapsed = self.elapsed.get(key)
        return since + limit if elapsed is None else now + (limit - elapsed)

    def create_failure(self, slug: str, number: int) -> CreateFailure | None:
        """Why the Job of an attempt was not created, if the API server refused it."""
        return self.create_failures.get(AttemptKey(slug, number))


def update_milestones(pod: Json, before: Milestones, now: datetime) -> Milestones:
    """The milestones, updated from a pod."""
    own, agent = container_status(pod, names.STEP_CONTAINER), container_status(pod, names.AGENT_CONTAINER)
    state, agent_state = (own or {}).get("state") or {}, (agent or {}).get("state") or {}
    ended, uploaded = state.get("terminated"), agent_end(pod)
    fetched = (uploaded or agent_state.get("running")) if fetches(pod) else None
    over = ended is not None or is_pod_finished(pod)
    bound = next((c for c in conditions(pod) if c["type"] == "PodScheduled" and c["status"] == "True"), {})
    scheduled = (
        _observed_time(bound.get("lastTransitionTime"), now) if (pod.get("spec") or {}).get("nodeName") else None
    )
    return Milestones(
        scheduled=before.scheduled or scheduled,
        fetching=before.fetching or (_observed_time(fetched.get("startedAt"), now) if fetched is not None else None),
        pulling=before.pulling,
        running=before.running or _running_since(pod, state, now),
        finished=before.finished or (_observed_time((ended or {}).get("finishedAt"), now) if over else None),
        uploaded=before.uploaded or (_observed_time(uploaded.get("finishedAt"), now) if uploaded is not None else None),
    )


def _running_since(pod: Json, state: Json, now: datetime) -> datetime | None:
    """When the commands of a step began, as its pod shows; None before, and for one that ends without beginning.

    Args:
        state: of the step's own container.
    """
    started = state.get("terminated") or state.get("running")
    if started is None:
        return None
    if not has_gate(pod):
        return _observed_time(started.get("startedAt"), now)
    if (began := read_report(None, pod).began) is not None:
        return min(began, now)
    if agent_fetch_failure(pod) is not None or "running" in state:
        return None
    # The agent has ended without telling.
    is_known = is_pod_finished(pod) or agent_end(pod) is not None
    return _observed_time(started.get("startedAt"), now) if is_known else None


def _observed_time(reported: str | None, now: datetime) -> datetime:
    """The time of the observation, or the reported one if that is too long ago."""
    if not reported:
        return now
    moment = datetime.fromisoformat(reported)
    return moment if now - moment > _MAX_OBSERVATION_DELAY else now
