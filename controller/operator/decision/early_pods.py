"""Pods that are made before their steps are due, and wait at their gates until the steps that theirs depend on ended.

Only what surely runs when its dependencies succeed is made ahead, and only while there is room: such a pod must never
keep anything else from running. It is removed as soon as one of this no longer holds. Until its gate is opened it is no
attempt of the step: nothing of the step runs, and the status of the step says no more than that a pod waits.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controller.operator.decision.actions import StartAttempt, WithdrawJob
from controller.operator.decision.builder import DecisionBuilder, StepVerdict
from controller.operator.decision.observation import AttemptView, EarlyPod
from controller.operator.decision.pending_steps import awaiting_status_write, counts_as_failure, join_names
from controller.operator.decision.pod_verdict import evaluate_pod
from controller.pipeline.conditions import dependency_policy
from controller.pipeline.graph.expand import ExpandedStep
from controller.run_types.phases import FINAL_STEP_PHASES, StepPhase
from controller.run_types.reasons import StepReason

if TYPE_CHECKING:
    from controller.run_types.objects import StepStatus

MAX_WAIT = timedelta(hours=24)
"""A pod that has waited at its gate for so long is removed; its own deadline is longer."""
_KEEPING = (StepReason.WAITING_FOR_STEPS, StepReason.PREPARING, StepReason.MAX_PARALLEL)
"""Why a step with a pod that waits does not begin, without a reason to remove that pod."""


def decide_early_pods(builder: DecisionBuilder) -> None:
    """Keep, make or remove the pods that wait at their gates, once all steps are decided."""
    observation = builder.input.observation
    limit = _limit(builder)
    if not observation.early and not (limit and observation.prestartable):
        return
    kept: set[str] = set()
    opened = {
        step.name
        for step in builder.input.steps
        if any(attempt["number"] == 1 for attempt in builder.statuses[step.name].get("attempts") or ())
    }
    for step in builder.input.steps:
        early = observation.early.get(step.slug)
        if early is None or step.name in opened:
            continue
        if len(kept) < _room(builder, limit) and _stays(builder, step, early):
            kept.add(step.name)
        else:
            _withdraw(builder, step, early)
    missing = _room(builder, limit) - len(kept)
    candidates = [step for step in builder.input.steps if _is_candidate(builder, step)] if missing > 0 else []
    while missing > 0 and (found := _next_candidate(builder, candidates, kept)) is not None:
        candidates.remove(found)
        kept.add(found.name)
        missing -= 1
        builder.act(StartAttempt(found, 1, early=True))
    for step in builder.input.steps:
        if step.name in kept:
            builder.statuses[step.name] = _waiting_status(builder, step)


def _limit(builder: DecisionBuilder) -> int:
    """How many pods may wait: as the run says, else as the pipeline does, else as the controller is set."""
    run = builder.input
    if run.stopping or run.observation.blocking_runs:
        return 0
    for wanted in (run.run["spec"].get("prestart"), run.pipeline.prestart):
        if wanted is not None:
            return wanted
    return run.settings.prestart


def _room(builder: DecisionBuilder, limit: int) -> int:
    """How many pods may wait: none where pods wait for room, and no more than `maxParallel` leaves."""
    most = builder.input.pipeline.max_parallel
    observation = builder.input.observation
    if observation.is_crowded or any(early.lacks_room for early in observation.early.values()):
        return 0
    return limit if most is None else min(limit, max(0, most - builder.active_count))


def _stays(builder: DecisionBuilder, step: ExpandedStep, early: EarlyPod) -> bool:
    """Whether a pod goes on waiting at its gate."""
    status = builder.statuses[step.name]
    due = datetime.fromisoformat(early.job["metadata"]["creationTimestamp"]) + MAX_WAIT
    if builder.input.now >= due or not early.is_usable or early.lacks_room:
        return False
    if status["phase"] != StepPhase.PENDING or status["reason"] not in _KEEPING:
        return False
    builder.requeue_at(due)
    return not _is_doomed(builder, step)


def _withdraw(builder: DecisionBuilder, step: ExpandedStep, early: EarlyPod) -> None:
    metadata = early.job["metadata"]
    if "deletionTimestamp" not in metadata:
        builder.act(WithdrawJob(step.slug, 1, metadata["name"], metadata["uid"], metadata["resourceVersion"]))


def _next_candidate(builder: DecisionBuilder, candidates: list[ExpandedStep], kept: set[str]) -> ExpandedStep | None:
    """The step to make a pod ahead of: one that is due next, else one after those whose pods wait already."""
    for waiting in (set(), kept) if kept else (kept,):
        for step in candidates:
            if _is_underway(builder, step, waiting):
                return step if awaiting_status_write(builder, step) is None else None
    return None


def _is_candidate(builder: DecisionBuilder, step: ExpandedStep) -> bool:
    """Whether a pod may be made ahead of a step, by what is known of the step itself."""
    observation, status = builder.input.observation, builder.statuses[step.name]
    return (
        step.name in observation.prestartable
        and step.slug not in observation.early
        and not builder.is_unanswered(step, 1)
        and status["phase"] == StepPhase.PENDING
        and status["reason"] == StepReason.WAITING_FOR_STEPS
        and step.name not in observation.missing_secrets
        and step.name not in observation.unschedulable
        and observation.secrets_ready
    )


def _is_underway(builder: DecisionBuilder, step: ExpandedStep, kept: set[str]) -> bool:
    """Whether all that a step depends on has ended, runs, or has a pod that waits too."""
    if _is_doomed(builder, step):
        return False
    for name in step.depends_on:
        status = builder.statuses[name]
        if status["phase"] not in FINAL_STEP_PHASES and not status.get("attempts") and name not in kept:
            return False
    return True


def _is_doomed(builder: DecisionBuilder, step: ExpandedStep) -> bool:
    """Whether a step will be skipped: something that has to succeed did not."""
    conditional = step.step.conditional
    if dependency_policy(conditional.fields() if conditional else None) != "success":
        return False
    return any(counts_as_failure(builder.statuses[name]) for name in step.depends_on)


def _waiting_status(builder: DecisionBuilder, step: ExpandedStep) -> StepStatus:
    """The status of a step whose pod waits at its gate."""
    early = builder.input.observation.early.get(step.slug)
    waits = [name for name in step.depends_on if builder.statuses[name]["phase"] not in FINAL_STEP_PHASES]
    what = f"waits for {join_names(waits)}" if waits else builder.statuses[step.name].get("message", "")
    message = f"{_describe(early)}; {what}"
    verdict = StepVerdict(StepPhase.PENDING, StepReason.WAITING_AT_GATE, message)
    return builder.unstarted_status(step, builder.input.previous.get(step.name), verdict)


def _describe(early: EarlyPod | None) -> str:
    """How far a pod is that is made ahead."""
    if early is None or early.pod is None:
        return "its pod is being made ahead"
    seen = evaluate_pod(AttemptView(job=early.job, pod=early.pod), artifacts=False, memory_limit=None)
    if seen.reason == StepReason.IMAGE_PULL:
        return f"its pod is made ahead, but {seen.message}"
    return "its pod is ready at its gate" if _has_started(early) else "its pod is being made ahead"


def _has_started(early: EarlyPod) -> bool:
    statuses = ((early.pod or {}).get("status") or {}).get("containerStatuses") or []
    return any("running" in (each.get("state") or {}) for each in statuses)
