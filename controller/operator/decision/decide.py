"""What a run needs next. One pure function: the run, what is observed of it and the time in; status and actions out.

State is in the run's status and in the cluster; nothing is remembered here.
Calling it again with the same picture gives the same answer, and doing its
actions twice is harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from controller.operator.decision import attempts
from controller.operator.decision.actions import Action, CancelRun
from controller.operator.decision.context import ReconcileContext
from controller.operator.decision.derived_status import add_failure_excerpt, add_queue_times, critical_path
from controller.operator.decision.observation import AttemptView, Observation, is_pod_finished
from controller.operator.decision.pending_steps import evaluate_start
from controller.operator.decision.run_status import finished_status, running_status
from controller.operator.decision.started_steps import update_attempts, update_current_attempt
from controller.operator.settings import OperatorSettings
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import Pipeline
from controller.pipeline.values import duration
from controller.run_types.phases import FINAL_RUN_PHASES, FINAL_STEP_PHASES, StepPhase

Json = dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """`look_again`: when something will be due without anything having changed."""

    status: Json
    actions: tuple[Action, ...] = ()
    requeue_at: datetime | None = None


def decide(
    run: Json,
    pipeline: Pipeline,
    steps: Sequence[ExpandedStep],
    observed: Observation,
    now: datetime,
    settings: OperatorSettings,
) -> Decision:
    """The run's next status and what is to be done. `steps` is the expanded pipeline."""
    old = run.get("status") or {}
    if old.get("phase") in FINAL_RUN_PHASES:
        return Decision(old)
    began = datetime.fromisoformat(old["startTime"]) if old.get("startTime") else now
    limit = began + timedelta(seconds=duration.parse_duration(pipeline.timeout)) if pipeline.timeout else None
    before = {entry["name"]: entry for entry in old.get("steps") or []}
    look = ReconcileContext(
        run,
        pipeline,
        steps,
        observed,
        now,
        settings,
        before,
        cancelled=bool(run["spec"].get("cancel")),
        timed_out=limit is not None and now >= limit,
    )
    if limit is not None and not look.timed_out:
        look.requeue_times.append(limit)
    seen = _observed_attempts(observed)
    for step in steps:
        update_attempts(look, step, seen.get(step.slug, ()))
    # All attempts are counted by now: what begins from here on keeps within `maxParallel`.
    for step in steps:
        if step.name in look.attempts:
            update_current_attempt(look, step)
    for step in _topological_order(steps):
        if step.name not in look.statuses:
            evaluate_start(look, step)
    entries = [_with_inputs(look, add_failure_excerpt(look.statuses[step.name])) for step in steps]
    ordered = add_queue_times(entries, attempts.format_time(began))
    return _conclude(look, old, ordered, began)


def _with_inputs(look: ReconcileContext, entry: Json) -> Json:
    digest = look.observed.inputs.get(entry["name"])
    return {**entry, "inputs": digest} if digest and entry.get("inputs") != digest else entry


def _source_snapshot(look: ReconcileContext, old: Json) -> Json | None:
    """The snapshot that the step that clones has made, or that it took from an earlier run."""
    if old.get("source") or look.observed.source_step is None:
        return old.get("source")
    entry = look.statuses[look.observed.source_step]
    if entry.get("reused"):
        taken = look.observed.reusable.get(entry["name"])
        return taken.source if taken is not None else None
    if entry["phase"] != StepPhase.SUCCEEDED or not entry.get("attempts"):
        return None
    manifest = look.observed.attempts[entry["slug"], entry["attempts"][-1]["number"]].manifest or {}
    return manifest.get("source")


def _observed_attempts(observed: Observation) -> dict[str, list[int]]:
    """The attempts of which anything is to be seen, by slug."""
    found: dict[str, list[int]] = {}
    for (slug, number), view in sorted(observed.attempts.items(), key=lambda item: item[0]):
        if view.job is not None or view.pod is not None:
            found.setdefault(slug, []).append(number)
    return found


def _topological_order(steps: Sequence[ExpandedStep]) -> list[ExpandedStep]:
    """Steps after what they depend on; in the order of the file otherwise. `read_run` lets no cycle through."""
    by_name = {step.name: step for step in steps}
    ordered: dict[str, ExpandedStep] = {}
    for step in steps:
        left = [step]
        while left:
            waits = [name for name in left[-1].depends_on if name not in ordered]
            if waits:
                left.append(by_name[waits[0]])
            else:
                last = left.pop()
                ordered[last.name] = last
    return list(ordered.values())


def _conclude(look: ReconcileContext, old: Json, entries: list[Json], began: datetime) -> Decision:
    base: Json = {
        "observedGeneration": look.run["metadata"].get("generation", 1),
        "startTime": attempts.format_time(began),
        "steps": entries,
    }
    runtime = look.observed.runtime or old.get("runtime")
    if runtime:
        base["runtime"] = runtime
    if source := _source_snapshot(look, old):
        base["source"] = source
    if look.observed.group is not None:
        base["group"] = look.observed.group
    concurrency = look.pipeline.concurrency
    if look.observed.blocking_runs and not look.stopping and concurrency is not None:
        base["ahead"] = [each.name for each in look.observed.blocking_runs]
        if concurrency.policy == "cancel-running":
            look.actions += [
                CancelRun(o.name) for o in look.observed.blocking_runs if o.created_before and not o.cancel_requested
            ]
    actions = tuple(look.actions)
    if all(entry["phase"] in FINAL_STEP_PHASES for entry in entries):
        waiting, give_up = _pending_logs(look, entries)
        if not waiting:
            status = finished_status(base | {"criticalPath": critical_path(entries)}, old, entries, look.now)
            return Decision(status, actions)
        look.requeue_times.append(give_up)
        base["waitingForLogs"] = True
    status = running_status(base, old, entries, look.now)
    return Decision(status, actions, min(look.requeue_times, default=None))


def _pending_logs(look: ReconcileContext, entries: list[Json]) -> tuple[bool, datetime]:
    """Whether logs have not reached their end or workspaces are still being kept, and until when that is waited for."""
    ends = [datetime.fromisoformat(e["completionTime"]) for e in entries if e.get("completionTime")]
    if look.observed.first_seen is not None:
        # What ended while nobody looked has its log all the same.
        ends.append(look.observed.first_seen)
    give_up = max(ends, default=look.now) + timedelta(seconds=look.settings.log_timeout)
    open_logs = any(view.open_logs for view in look.observed.attempts.values())
    running = any(view.pod is not None and not is_pod_finished(view.pod) for view in look.observed.attempts.values())
    kept = any(
        attempts.awaiting_workspace(
            attempt, look.observed.attempts.get((entry["slug"], attempt["number"]), AttemptView())
        )
        for entry in entries
        for attempt in entry.get("attempts") or []
    )
    return (open_logs or running or kept) and look.now < give_up, give_up
