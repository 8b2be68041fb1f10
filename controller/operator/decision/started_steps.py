"""Steps that have begun: their attempts brought up to date, stopped, judged and tried again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from controller.operator.decision import attempts
from controller.operator.decision.actions import DeleteJob, ReadManifest, ReadWorkspace, VerifyJob
from controller.operator.decision.context import (
    ReconcileContext,
    StepVerdict,
    request_stop,
    start_attempt,
    start_blocker,
    step_status,
    unstarted_status,
)
from controller.operator.decision.observation import is_pod_finished
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import RetryPolicy
from controller.run_types.phases import FINAL_STEP_PHASES, StepPhase
from controller.run_types.reasons import StepReason

Json = dict[str, Any]


def update_attempts(look: ReconcileContext, step: ExpandedStep, seen: Sequence[int]) -> None:
    """Bring the attempts of a step up to date; of a step that is over, its entry as well.

    Args:
        seen: the numbers of the attempts of which something is to be seen, in order.
    """
    before = look.previous.get(step.name)
    if before is not None and step.slug in look.observed.settled_steps:
        look.statuses[step.name] = before
        return
    over = before is not None and before["phase"] in FINAL_STEP_PHASES
    known = list((before or {}).get("attempts") or [])
    numbers = {attempt["number"] for attempt in known}
    for number in seen:
        if number not in numbers and not over:
            known.append(attempts.adopt_attempt(look.run, step, number, look.view(step, number), look.now))
        elif number not in numbers:
            request_stop(look, look.view(step, number).pod)
    updated = [_update_attempt(look, step, attempt) for attempt in known]
    if before is not None and over:
        more = {"attempts": updated} if updated else {}
        look.statuses[step.name] = step_status(step, before, **_verdict_fields(before), **more)
    elif updated:
        look.attempts[step.name] = updated


def _update_attempt(look: ReconcileContext, step: ExpandedStep, attempt: Json) -> Json:
    """An attempt after one more look, and what is to be done whatever becomes of the step."""
    view = look.view(step, attempt["number"])
    fresh = attempts.update_attempt(attempt, view, step.step, look.now, stopped_by=look.default_stop_reason)
    lives = view.pod is not None and not is_pod_finished(view.pod)
    if lives or fresh["phase"] not in FINAL_STEP_PHASES:
        look.active_count += 1
    if fresh["phase"] == StepPhase.CANCELLED or fresh["reason"] == StepReason.SERVICE_FAILED:
        # Given up before its pod was seen, or while its node goes on trying.
        request_stop(look, view.pod)
    if fresh["reason"] == StepReason.NEVER_FITS and view.job is not None:
        # Else its pod would come to be once the quota is raised, long after the step was judged.
        metadata = view.job["metadata"]
        look.actions.append(DeleteJob(metadata["namespace"], metadata["name"], metadata["uid"]))
    if attempts.needs_manifest(fresh, view, step.step):
        look.actions.append(ReadManifest(step.slug, attempt["number"]))
    if attempts.needs_workspace(fresh, view):
        look.actions.append(ReadWorkspace(step.slug, attempt["number"]))
    due = attempts.missing_deadline(fresh, view)
    if due is not None and look.now >= due:
        look.actions.append(VerifyJob(step.slug, attempt["number"], attempt["jobName"]))
    elif due is not None:
        look.requeue_times.append(due)
    return fresh


def update_current_attempt(look: ReconcileContext, step: ExpandedStep) -> None:
    """The entry of a step that has begun and is not over yet, by its last attempt."""
    before, updated = look.previous.get(step.name), look.attempts[step.name]
    if updated[-1]["phase"] in FINAL_STEP_PHASES:
        _after_attempt(look, step, before, updated)
    else:
        look.statuses[step.name] = _running_status(look, step, before, updated)


def _verdict_fields(entry: Json) -> Json:
    return {key: entry[key] for key in ("phase", "reason", "message") if key in entry}


def _running_status(look: ReconcileContext, step: ExpandedStep, before: Json | None, updated: list[Json]) -> Json:
    """A step whose last attempt goes on: stop it if it must not."""
    last = updated[-1]
    view = look.view(step, last["number"])
    why, due = attempts.stop_reason(last, step.step, look.now, cancelled=look.cancelled, timed_out=look.timed_out)
    if due is not None:
        look.requeue_times.append(due)
    if why is not None:
        last = updated[-1] = {**last, "stopping": why}
        if view.job is None and view.pod is None:
            # Nothing was made yet, and nothing will be.
            updated[-1] = attempts.cancelled_before_start(last, why, look.now)
            return _final_status(look, step, before, updated, updated[-1])
        if view.pod is not None and view.pod["spec"].get("nodeName"):
            request_stop(look, view.pod)
        elif view.job is not None and (view.pod is None or not is_pod_finished(view.pod)):
            metadata = view.job["metadata"]
            look.actions.append(DeleteJob(metadata["namespace"], metadata["name"], metadata["uid"]))
    phase = StepPhase.RUNNING if last["times"].get("running") else StepPhase.PENDING
    return step_status(
        step, before, phase=phase, reason=last["reason"], message=last.get("message", ""), attempts=updated
    )


def _after_attempt(look: ReconcileContext, step: ExpandedStep, before: Json | None, updated: list[Json]) -> None:
    """The last attempt is over: so is the step, or it is tried again."""
    last = updated[-1]
    wait = None if look.stopping else _retry_delay(look, step, updated)
    if wait is None:
        look.statuses[step.name] = _final_status(look, step, before, updated, last)
        return
    number, due = last["number"] + 1, datetime.fromisoformat(last["times"]["finished"]) + timedelta(seconds=wait)
    if look.now < due:
        look.requeue_times.append(due)
        told = f"attempt {last['number']} failed ({last.get('message', '')}); the next begins in {wait} s"
        later: StepVerdict | None = (StepPhase.PENDING, StepReason.RETRYING, told)
    else:
        later = start_blocker(look, step, number)
    if later is None:
        start_attempt(look, step, before, updated, number)
    else:
        look.statuses[step.name] = unstarted_status(look, step, before, later, attempts=updated)


def _retry_delay(look: ReconcileContext, step: ExpandedStep, updated: list[Json]) -> int | None:
    """Seconds between the last attempt's end and the next one; None when there is to be none."""
    last = updated[-1]
    if last["phase"] != StepPhase.FAILED or last["reason"] in (StepReason.TIMEOUT, StepReason.NEVER_FITS):
        return None
    policy = step.step.retry_policy or look.pipeline.retry_policy or RetryPolicy()
    disrupted = sum(attempt["reason"] == StepReason.DISRUPTED for attempt in updated)
    if last["reason"] == StepReason.DISRUPTED:
        return 0 if disrupted <= attempts.MAX_DISRUPTIONS else None
    failed = sum(attempt["phase"] == StepPhase.FAILED for attempt in updated) - disrupted
    return policy.backoff_seconds if failed <= policy.max_retries else None


def _final_status(
    look: ReconcileContext, step: ExpandedStep, before: Json | None, updated: list[Json], last: Json
) -> Json:
    entry = step_status(
        step,
        before,
        phase=last["phase"],
        reason=last["reason"],
        message=last.get("message", ""),
        completionTime=last["times"].get("finished") or attempts.format_time(look.now),
        attempts=updated,
    )
    view = look.view(step, last["number"])
    if last["phase"] == StepPhase.SUCCEEDED and view.manifest is not None:
        entry["artifacts"] = [
            {key: file[key] for key in ("path", "size", "sha256")} for file in view.manifest.get("files") or []
        ]
    return entry
