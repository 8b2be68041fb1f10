"""Steps that have not started: whether they start now, wait, or never start, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from controller.operator.decision.actions import PrepareSecrets
from controller.operator.decision.builder import DecisionBuilder, StepVerdict
from controller.operator.workload import services
from controller.pipeline.conditions import dependency_policy
from controller.pipeline.graph.expand import ExpandedStep
from controller.run_types.phases import FINAL_STEP_PHASES, StepPhase
from controller.run_types.reasons import StepReason

if TYPE_CHECKING:
    from controller.run_types.objects import StepStatus

Json = dict[str, Any]

_STATUS_WRITE_DELAY = timedelta(seconds=0.05)
_TO_BE_REUSED = StepVerdict(StepPhase.PENDING, StepReason.PREPARING, "it is reused from an earlier run")


def evaluate_start(builder: DecisionBuilder, step: ExpandedStep) -> None:
    """Decide the status of a step without attempts; start it if nothing prevents that."""
    previous = builder.input.previous.get(step.name)
    is_unanswered = builder.is_unanswered(step, 1)
    reused = _reused_status(builder, step, previous)
    if reused is not None and not is_unanswered:
        builder.statuses[step.name] = reused
        return
    verdict = _TO_BE_REUSED if reused is not None else _start_verdict(builder, step)
    early = builder.input.observation.early.get(step.slug)
    if verdict is None:
        verdict = builder.start_blocker(step, 1)
    elif is_unanswered:
        verdict = builder.find_out(step, 1, verdict)
    if verdict is None and early is not None and not early.is_usable:
        message = "what was made ahead of it has ended and is being removed"
        verdict = StepVerdict(StepPhase.PENDING, StepReason.PREPARING, message)
    if verdict is not None:
        builder.statuses[step.name] = builder.unstarted_status(step, previous, verdict)
    elif early is not None:
        builder.open_attempt(step, previous, early)
    else:
        builder.start_attempt(step, previous, [], 1)


def _reused_status(builder: DecisionBuilder, step: ExpandedStep, previous: StepStatus | None) -> StepStatus | None:
    """The status of a step whose result is taken from an earlier run; None for a step that has to run.

    All that it depends on must be reused too, except for the step that clones the source.
    """
    observation = builder.input.observation
    found = observation.reusable.get(step.name)
    if found is None or builder.input.stopping:
        return None
    for name in step.depends_on:
        dependency = builder.statuses[name]
        is_reused = dependency["reason"] == StepReason.REUSED or name == observation.source_step
        if dependency["phase"] != StepPhase.SUCCEEDED or not is_reused:
            return None
    more: Json = {"reused": found.reused}
    if found.artifacts and step.name != observation.source_step:
        more["artifacts"] = found.artifacts
    message = f"taken from run {found.reused['run']}, where it succeeded"
    verdict = StepVerdict(StepPhase.SUCCEEDED, StepReason.REUSED, message)
    return builder.unstarted_status(step, previous, verdict, **more)


def _start_verdict(builder: DecisionBuilder, step: ExpandedStep) -> StepVerdict | None:
    """Why a step does not start now; None for one that does."""
    if builder.input.cancelled:
        message = "the run was cancelled before the step began"
        return StepVerdict(StepPhase.CANCELLED, StepReason.RUN_CANCELLED, message)
    if builder.input.timed_out:
        message = f"the run took longer than {builder.input.pipeline.timeout}"
        return StepVerdict(StepPhase.CANCELLED, StepReason.TIMEOUT, message)
    return (
        _waiting_verdict(builder, step)
        or _dependency_verdict(builder, step)
        or _condition_verdict(builder, step)
        or _resource_verdict(builder, step)
        or _preparation_verdict(builder, step)
    )


def _waiting_verdict(builder: DecisionBuilder, step: ExpandedStep) -> StepVerdict | None:
    """Whether the step waits for other steps, or its run for other runs."""
    waiting = [name for name in step.depends_on if builder.statuses[name]["phase"] not in FINAL_STEP_PHASES]
    if waiting:
        return StepVerdict(StepPhase.PENDING, StepReason.WAITING_FOR_STEPS, f"waits for {join_names(waiting)}")
    blocking = [run.name for run in builder.input.observation.blocking_runs]
    if blocking:
        message = f"the run waits for {join_names(blocking)}"
        return StepVerdict(StepPhase.PENDING, StepReason.CONCURRENCY_GROUP, message)
    return None


def _dependency_verdict(builder: DecisionBuilder, step: ExpandedStep) -> StepVerdict | None:
    """Whether the results of its dependencies prevent the step from ever running."""
    conditional = step.step.conditional
    policy = dependency_policy(conditional.fields() if conditional else None)
    failed = [name for name in step.depends_on if counts_as_failure(builder.statuses[name])]
    if policy == "success" and failed:
        message = _describe_root_failure(builder, failed[0])
        return StepVerdict(StepPhase.SKIPPED, StepReason.DEPENDENCY_FAILED, message)
    if policy == "failure" and not failed:
        message = "it runs only after a failure, and nothing it depends on failed"
        return StepVerdict(StepPhase.SKIPPED, StepReason.CONDITION_NOT_MET, message)
    return None


def _condition_verdict(builder: DecisionBuilder, step: ExpandedStep) -> StepVerdict | None:
    reason = builder.input.observation.unmet_conditions.get(step.name)
    return StepVerdict(StepPhase.SKIPPED, StepReason.CONDITION_NOT_MET, reason) if reason is not None else None


def _resource_verdict(builder: DecisionBuilder, step: ExpandedStep) -> StepVerdict | None:
    """Whether the step lacks something that no waiting will provide."""
    observation = builder.input.observation
    if (message := services.unsupported_reason(step, observation.runtime)) is not None:
        return StepVerdict(StepPhase.FAILED, StepReason.SERVICE_FAILED, message)
    if (message := observation.missing_secrets.get(step.name)) is not None:
        return StepVerdict(StepPhase.FAILED, StepReason.SECRET_MISSING, message)
    return None


def _preparation_verdict(builder: DecisionBuilder, step: ExpandedStep) -> StepVerdict | None:
    """Whether the step waits for something that the operator itself is writing."""
    if (pending := awaiting_status_write(builder, step)) is not None:
        builder.requeue_at(builder.input.now + _STATUS_WRITE_DELAY)
        return StepVerdict(StepPhase.PENDING, StepReason.PREPARING, f"{pending} is being recorded")
    if builder.input.observation.secrets_ready:
        return None
    if not any(isinstance(action, PrepareSecrets) for action in builder.actions):
        builder.act(PrepareSecrets())
    error = builder.input.observation.prepare_error
    message = f"the run's secrets can't be created: {error}" if error else "the run's secrets are being created"
    return StepVerdict(StepPhase.PENDING, StepReason.PREPARING, message)


def awaiting_status_write(builder: DecisionBuilder, step: ExpandedStep) -> str | None:
    """What the step's agents will request from the API before the run's written status has it; None for nothing."""
    observation = builder.input.observation
    if observation.source_step is not None and step.depends_on and not observation.source_recorded:
        return "the source"
    for name, status in builder.statuses.items():
        if status.get("reused") and name not in observation.recorded_reuse:
            return "what is reused from an earlier run"
    return None


def counts_as_failure(status: StepStatus) -> bool:
    if status["phase"] in (StepPhase.FAILED, StepPhase.CANCELLED):
        return not status["allowFailure"]
    return bool(status["phase"] == StepPhase.SKIPPED and status["reason"] == StepReason.DEPENDENCY_FAILED)


def _describe_root_failure(builder: DecisionBuilder, name: str) -> str:
    """Names the step that failed, found through those that were skipped because of it."""
    status, steps = builder.statuses[name], {step.name: step for step in builder.input.steps}
    while status["phase"] == StepPhase.SKIPPED:
        name = next(each for each in steps[name].depends_on if counts_as_failure(builder.statuses[each]))
        status = builder.statuses[name]
    word = "was cancelled" if status["phase"] == StepPhase.CANCELLED else "failed"
    return f"skipped because {name} {word}"


def join_names(names: Sequence[str], limit: int = 3) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
