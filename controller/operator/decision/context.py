"""One look at a run: what is known, what is decided so far, how a step's entry in the status is made. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controller.operator.decision import attempts
from controller.operator.decision.actions import Action, StartAttempt, StopPod
from controller.operator.decision.observation import AttemptView, Observation, is_pod_finished
from controller.operator.settings import OperatorSettings
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import Pipeline
from controller.run_types.phases import FINAL_STEP_PHASES, StepPhase
from controller.run_types.reasons import StepReason, StopCause

Json = dict[str, Any]
StepVerdict = tuple[str, str, str]
"""Phase, reason and message."""


@dataclass
class ReconcileContext:
    """One look at a run: what has been decided so far."""

    run: Json
    pipeline: Pipeline
    steps: Sequence[ExpandedStep]
    observed: Observation
    now: datetime
    settings: OperatorSettings
    previous: Mapping[str, Json]
    cancelled: bool
    timed_out: bool
    attempts: dict[str, list[Json]] = field(default_factory=dict)
    """The attempts of steps that have begun, by the step's name, brought up to date."""
    statuses: dict[str, Json] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    requeue_times: list[datetime] = field(default_factory=list)
    active_count: int = 0

    @property
    def stopping(self) -> bool:
        return self.cancelled or self.timed_out

    @property
    def default_stop_reason(self) -> str:
        """Why a pod that was stopped was stopped."""
        if self.cancelled:
            return StopCause.CANCELLED
        return StopCause.RUN_TIMEOUT if self.timed_out else StopCause.STEP_TIMEOUT

    def view(self, step: ExpandedStep, number: int) -> AttemptView:
        return self.observed.attempts.get((step.slug, number), AttemptView())


def step_status(step: ExpandedStep, before: Json | None, **values: Any) -> Json:
    entry: Json = {
        "name": step.name,
        "slug": step.slug,
        "dependsOn": list(step.depends_on),
        "allowFailure": step.step.allow_failure,
    }
    for kept in ("startTime", "completionTime", "artifacts", "attempts", "inputs", "reused"):
        if before and kept in before:
            entry[kept] = before[kept]
    entry |= values
    if entry.get("attempts"):
        entry.setdefault("startTime", entry["attempts"][0]["times"]["created"])
    return entry


def start_attempt(
    look: ReconcileContext, step: ExpandedStep, before: Json | None, earlier: list[Json], number: int
) -> None:
    look.actions.append(StartAttempt(step, number))
    look.active_count += 1
    look.statuses[step.name] = step_status(
        step,
        before,
        phase=StepPhase.PENDING,
        reason=StepReason.CREATED,
        message="its Job is being created" if number == 1 else f"attempt {number} is being created",
        attempts=[*earlier, attempts.new_attempt(look.run, step, number, look.now)],
    )


def unstarted_status(
    look: ReconcileContext, step: ExpandedStep, before: Json | None, verdict: StepVerdict, **more: Any
) -> Json:
    """The entry of a step that does not start now, or never."""
    phase, reason, message = verdict
    if phase in FINAL_STEP_PHASES:
        more["completionTime"] = attempts.format_time(look.now)
    return step_status(step, before, phase=phase, reason=reason, message=message, **more)


def start_blocker(look: ReconcileContext, step: ExpandedStep, number: int) -> StepVerdict | None:
    """What keeps an attempt from beginning that is due: the cluster refused it, or enough is running."""
    refusal = look.observed.create_failures.get((step.slug, number))
    if refusal is not None and refusal.final:
        return StepPhase.FAILED, refusal.reason, refusal.message
    if refusal is not None and look.now < refusal.retry_at:
        look.requeue_times.append(refusal.retry_at)
        return StepPhase.PENDING, refusal.reason, refusal.message
    if (never := look.observed.unschedulable.get(step.name)) is not None:
        return StepPhase.FAILED, StepReason.NEVER_FITS, never
    limit = look.pipeline.max_parallel
    if limit is not None and look.active_count >= limit:
        return StepPhase.PENDING, StepReason.MAX_PARALLEL, f"{look.active_count} steps run and maxParallel is {limit}"
    return None


def request_stop(look: ReconcileContext, pod: Json | None) -> None:
    if pod is not None and not is_pod_finished(pod) and not attempts.is_stop_requested(pod):
        look.actions.append(StopPod(pod["metadata"]["namespace"], pod["metadata"]["name"]))
