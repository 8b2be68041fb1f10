"""Collects what is decided about a run, step by step: statuses, actions, and when to reconcile again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from controller.operator import names
from controller.operator.decision import attempts
from controller.operator.decision.actions import Action, OpenGate, StartAttempt, StopPod, VerifyJob
from controller.operator.decision.observation import AttemptView, EarlyPod, Observation
from controller.operator.decision.pods.status import is_pod_finished
from controller.operator.settings import OperatorSettings
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import Pipeline
from controller.run_types.keys import AttemptKey
from controller.run_types.phases import FINAL_STEP_PHASES, StepPhase
from controller.run_types.reasons import StepReason, StopCause

if TYPE_CHECKING:
    from controller.run_types.objects import AttemptStatus, RunObject, StepStatus

Json = dict[str, Any]

_PRESERVED_FIELDS: tuple[Literal["startTime", "completionTime", "artifacts", "attempts", "inputs", "reused"], ...] = (
    "startTime",
    "completionTime",
    "artifacts",
    "attempts",
    "inputs",
    "reused",
)


class StepVerdict(NamedTuple):
    """Why a step does not start now, or never starts."""

    phase: StepPhase
    reason: str
    message: str


@dataclass(frozen=True)
class ReconcileInput:
    """Everything that a decision about a run is based on.

    Attributes:
        steps: the expanded pipeline.
        previous: the steps' statuses as decided last, by name.
        timed_out: whether the run has exceeded the pipeline's timeout.
    """

    run: RunObject
    pipeline: Pipeline
    steps: Sequence[ExpandedStep]
    observation: Observation
    now: datetime
    settings: OperatorSettings
    previous: Mapping[str, StepStatus]
    cancelled: bool
    timed_out: bool

    @property
    def stopping(self) -> bool:
        """Whether the whole run is being stopped."""
        return self.cancelled or self.timed_out

    @property
    def default_stop_cause(self) -> StopCause:
        """Why a stopped attempt was stopped, where its status does not record it."""
        if self.cancelled:
            return StopCause.CANCELLED
        return StopCause.RUN_TIMEOUT if self.timed_out else StopCause.STEP_TIMEOUT

    def view(self, step: ExpandedStep, number: int) -> AttemptView:
        """What is known of an attempt."""
        return self.observation.view(step.slug, number)


@dataclass
class DecisionBuilder:
    """The decision about a run while it is being made.

    Attributes:
        attempts: the updated attempts of steps that have started and not ended, by the step's name.
        statuses: the statuses decided so far, by the step's name.
        active_count: attempts that are running or about to start, which `maxParallel` limits.
    """

    input: ReconcileInput
    attempts: dict[str, list[AttemptStatus]] = field(default_factory=dict)
    statuses: dict[str, StepStatus] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    requeue_times: list[datetime] = field(default_factory=list)
    active_count: int = 0

    def act(self, action: Action) -> None:
        """Add an action."""
        self.actions.append(action)

    def requeue_at(self, moment: datetime) -> None:
        """Reconcile again at that moment at the latest, even if nothing changes."""
        self.requeue_times.append(moment)

    def request_stop(self, pod: Json | None) -> None:
        """Stop a pod, unless it has ended or was asked to already."""
        if pod is not None and not is_pod_finished(pod) and not attempts.is_stop_requested(pod):
            metadata = pod["metadata"]
            self.act(StopPod(metadata["namespace"], metadata["name"], metadata["uid"]))

    def start_attempt(
        self, step: ExpandedStep, previous: StepStatus | None, earlier: list[AttemptStatus], number: int
    ) -> None:
        """Start an attempt after the `earlier` ones."""
        self.act(StartAttempt(step, number))
        if not self.may_run(step, number):
            self.active_count += 1
        self.statuses[step.name] = step_status(
            step,
            previous,
            phase=StepPhase.PENDING,
            reason=StepReason.CREATED,
            message="its Job is being created" if number == 1 else f"attempt {number} is being created",
            attempts=[*earlier, attempts.new_attempt(self.input.run, step, number, self.input.now)],
        )

    def open_attempt(self, step: ExpandedStep, previous: StepStatus | None, early: EarlyPod) -> None:
        """Start the first attempt of a step in what was made ahead of it."""
        metadata = early.job["metadata"]
        self.act(OpenGate(step, 1, metadata["name"], metadata["uid"]))
        self.active_count += 1
        attempt = {**attempts.new_attempt(self.input.run, step, 1, self.input.now), "early": True}
        self.statuses[step.name] = step_status(
            step,
            previous,
            phase=StepPhase.PENDING,
            reason=StepReason.CREATED,
            message="its pod, which was made ahead, may begin",
            attempts=[attempt],
        )

    def is_unanswered(self, step: ExpandedStep, number: int) -> bool:
        """Whether the Job of an attempt that was not observed may exist all the same."""
        return AttemptKey(step.slug, number) in self.input.observation.unanswered

    def may_run(self, step: ExpandedStep, number: int) -> bool:
        """Whether it may even have started: its step was due. It counts as active all the time."""
        failure = self.input.observation.create_failure(step.slug, number)
        return failure is not None and self.is_unanswered(step, number)

    def find_out(self, step: ExpandedStep, number: int, verdict: StepVerdict) -> StepVerdict:
        """The verdict on a step whose Job may exist: one that ends it has to wait until that is known."""
        self.act(VerifyJob(step.slug, number, names.job_name(self.input.run["metadata"]["name"], step.slug, number)))
        if verdict.phase not in FINAL_STEP_PHASES:
            return verdict
        message = f"the cluster did not answer whether it has made its Job; once that is known: {verdict.message}"
        return StepVerdict(StepPhase.PENDING, StepReason.NOT_CREATED, message)

    def start_blocker(self, step: ExpandedStep, number: int) -> StepVerdict | None:
        """Why a due attempt does not start: the cluster refuses it, or `maxParallel` is reached. None if it starts."""
        observation, now = self.input.observation, self.input.now
        failure = observation.create_failure(step.slug, number)
        if failure is not None and failure.final:
            return StepVerdict(StepPhase.FAILED, failure.reason, failure.message)
        if failure is not None and observation.monotonic < failure.retry_at:
            self.requeue_at(now + timedelta(seconds=failure.retry_at - observation.monotonic))
            return StepVerdict(StepPhase.PENDING, failure.reason, failure.message)
        if self.may_run(step, number):
            # It may have started: none of what follows prevents that any more.
            return None
        if (message := observation.unschedulable.get(step.name)) is not None:
            return StepVerdict(StepPhase.FAILED, StepReason.NEVER_FITS, message)
        limit = self.input.pipeline.max_parallel
        if limit is not None and self.active_count >= limit:
            message = f"{self.active_count} steps run and maxParallel is {limit}"
            return StepVerdict(StepPhase.PENDING, StepReason.MAX_PARALLEL, message)
        return None

    def unstarted_status(
        self, step: ExpandedStep, previous: StepStatus | None, verdict: StepVerdict, **more: Any
    ) -> StepStatus:
        """The status of a step that does not start now, or never starts."""
        if verdict.phase in FINAL_STEP_PHASES:
            more["completionTime"] = attempts.format_time(self.input.now)
        return step_status(step, previous, phase=verdict.phase, reason=verdict.reason, message=verdict.message, **more)


def step_status(step: ExpandedStep, previous: StepStatus | None, **values: Any) -> StepStatus:
    """A step's status: `values` over what is preserved of the previous one."""
    status: Json = {
        "name": step.name,
        "slug": step.slug,
        "dependsOn": list(step.depends_on_groups),
        "allowFailure": step.step.allow_failure,
    }
    if step.group != step.name:
        status["matrixOf"] = step.group
    if previous:
        # A loop over the few fields: this runs for each waiting step at each reconcile.
        for preserved in _PRESERVED_FIELDS:
            if preserved in previous:
                status[preserved] = previous[preserved]
    status |= values
    if status.get("attempts"):
        status.setdefault("startTime", status["attempts"][0]["times"]["created"])
    return cast("StepStatus", status)
