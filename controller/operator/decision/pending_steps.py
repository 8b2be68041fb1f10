"""Steps that have not begun: whether they start now, wait, or never will, and why. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from controller.operator.decision.actions import PrepareSecrets
from controller.operator.decision.context import (
    ReconcileContext,
    StepVerdict,
    start_attempt,
    start_blocker,
    unstarted_status,
)
from controller.operator.workload import services
from controller.pipeline.conditions import TriggerContext, dependency_policy, evaluate_step
from controller.pipeline.graph.expand import ExpandedStep
from controller.run_types.phases import FINAL_STEP_PHASES, StepPhase
from controller.run_types.reasons import StepReason

Json = dict[str, Any]

_STATUS_WRITE_DELAY = timedelta(seconds=0.05)


def evaluate_start(look: ReconcileContext, step: ExpandedStep) -> None:
    before = look.previous.get(step.name)
    taken = _reused_status(look, step, before)
    if taken is not None:
        look.statuses[step.name] = taken
        return
    verdict = _start_verdict(look, step)
    if verdict is None:
        start_attempt(look, step, before, [], 1)
    else:
        look.statuses[step.name] = unstarted_status(look, step, before, verdict)


def _reused_status(look: ReconcileContext, step: ExpandedStep, before: Json | None) -> Json | None:
    """The entry of a step that an earlier run has done: as all that it depends on was, a clone excepted."""
    found = look.observed.reusable.get(step.name)
    if found is None or look.stopping:
        return None
    for name in step.depends_on:
        entry = look.statuses[name]
        if entry["phase"] != StepPhase.SUCCEEDED or (
            entry["reason"] != StepReason.REUSED and name != look.observed.source_step
        ):
            return None
    words = f"taken from run {found.reused['run']}, where it succeeded"
    more: Json = {"reused": found.reused}
    if found.artifacts and step.name != look.observed.source_step:
        more["artifacts"] = list(found.artifacts)
    return unstarted_status(look, step, before, (StepPhase.SUCCEEDED, StepReason.REUSED, words), **more)


def _awaiting_status_write(look: ReconcileContext, step: ExpandedStep) -> str | None:
    """What agents will ask the API for and it does not know yet: its status is written a moment later."""
    if look.observed.source_step is not None and step.depends_on and not look.observed.source_recorded:
        return "where its source is"
    for name, entry in look.statuses.items():
        if entry.get("reused") and name not in look.observed.recorded_reuse:
            return "what is taken from an earlier run"
    return None


def _start_verdict(look: ReconcileContext, step: ExpandedStep) -> StepVerdict | None:
    """(phase, reason, message) of a step that does not start now; None for one that does."""
    if look.cancelled:
        return StepPhase.CANCELLED, StepReason.RUN_CANCELLED, "the run was cancelled before the step began"
    if look.timed_out:
        return StepPhase.CANCELLED, StepReason.TIMEOUT, f"the run took longer than {look.pipeline.timeout}"
    waiting = [name for name in step.depends_on if look.statuses[name]["phase"] not in FINAL_STEP_PHASES]
    if waiting:
        return StepPhase.PENDING, StepReason.WAITING_FOR_STEPS, f"waits for {_join_names(waiting)}"
    if look.observed.blocking_runs:
        return (
            StepPhase.PENDING,
            StepReason.CONCURRENCY_GROUP,
            f"the run waits for {_join_names([o.name for o in look.observed.blocking_runs])}",
        )
    blocked = _dependency_verdict(look, step)
    if blocked is not None:
        return blocked
    conditional = step.step.conditional.model_dump(by_alias=True, exclude_none=True) if step.step.conditional else None
    verdict = evaluate_step(conditional, trigger_context(look.run))
    if not verdict.runs:
        return StepPhase.SKIPPED, StepReason.CONDITION_NOT_MET, verdict.reason
    if (words := services.unsupported_reason(step, look.observed.runtime)) is not None:
        return StepPhase.FAILED, StepReason.SERVICE_FAILED, words
    missing = look.observed.missing_secrets.get(step.name)
    if missing is not None:
        return StepPhase.FAILED, StepReason.SECRET_MISSING, missing
    if (unknown := _awaiting_status_write(look, step)) is not None:
        look.requeue_times.append(look.now + _STATUS_WRITE_DELAY)
        return StepPhase.PENDING, StepReason.PREPARING, f"{unknown} is being noted"
    if not look.observed.secrets_ready:
        if not any(isinstance(action, PrepareSecrets) for action in look.actions):
            look.actions.append(PrepareSecrets())
        tried = look.observed.prepare_error
        why = f"the run's secrets can't be made ready: {tried}" if tried else "the run's secrets are being made ready"
        return StepPhase.PENDING, StepReason.PREPARING, why
    return start_blocker(look, step, 1)


def _dependency_verdict(look: ReconcileContext, step: ExpandedStep) -> StepVerdict | None:
    """Whether what it depends on ended in a way that keeps the step from running."""
    conditional = step.step.conditional.model_dump(by_alias=True, exclude_none=True) if step.step.conditional else None
    wanted = dependency_policy(conditional)
    bad = [name for name in step.depends_on if _counts_as_failure(look.statuses[name])]
    if wanted == "success" and bad:
        return StepPhase.SKIPPED, StepReason.DEPENDENCY_FAILED, _root_failure(look, bad[0])
    if wanted == "failure" and not bad:
        return (
            StepPhase.SKIPPED,
            StepReason.CONDITION_NOT_MET,
            "it runs only after a failure, and nothing it depends on failed",
        )
    return None


def _counts_as_failure(entry: Json) -> bool:
    if entry["phase"] in (StepPhase.FAILED, StepPhase.CANCELLED):
        return not entry["allowFailure"]
    return bool(entry["phase"] == StepPhase.SKIPPED and entry["reason"] == StepReason.DEPENDENCY_FAILED)


def _root_failure(look: ReconcileContext, name: str) -> str:
    """The step that failed, found through those that were skipped because of it."""
    entry = look.statuses[name]
    while entry["phase"] == StepPhase.SKIPPED:
        name = next(n for n in entry["dependsOn"] if _counts_as_failure(look.statuses[n]))
        entry = look.statuses[name]
    word = "was cancelled" if entry["phase"] == StepPhase.CANCELLED else "failed"
    return f"skipped because {name} {word}"


def _join_names(words: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most} more"


def trigger_context(run: Json) -> TriggerContext:
    """What the run is about, for conditions."""
    spec = run["spec"]
    event = spec.get("event") or "push"
    tag = spec.get("branch", "") if event == "tag" else ""
    changed = spec.get("changedFiles")
    return TriggerContext(event, spec.get("branch") or "", tag, tuple(changed) if changed is not None else None)
