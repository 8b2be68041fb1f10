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
from controller.operator.decision.context import FINAL, Look
from controller.operator.decision.derived_status import critical_path, with_queued, with_words
from controller.operator.decision.observation import AttemptView, Observed, is_over
from controller.operator.decision.pending_steps import look_at_start
from controller.operator.decision.run_status import finished_run, running_run
from controller.operator.decision.started_steps import look_at_attempts, look_at_last
from controller.operator.settings import OperatorSettings
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import Pipeline
from controller.pipeline.values import duration

Json = dict[str, Any]

RUN_FINAL = ("Succeeded", "Failed", "Cancelled")


@dataclass(frozen=True)
class Decision:
    """`look_again`: when something will be due without anything having changed."""

    status: Json
    actions: tuple[Action, ...] = ()
    look_again: datetime | None = None


def decide(
    run: Json,
    pipeline: Pipeline,
    steps: Sequence[ExpandedStep],
    observed: Observed,
    now: datetime,
    settings: OperatorSettings,
) -> Decision:
    """The run's next status and what is to be done. `steps` is the expanded pipeline."""
    old = run.get("status") or {}
    if old.get("phase") in RUN_FINAL:
        return Decision(old)
    began = datetime.fromisoformat(old["startTime"]) if old.get("startTime") else now
    limit = began + timedelta(seconds=duration.seconds(pipeline.timeout)) if pipeline.timeout else None
    before = {entry["name"]: entry for entry in old.get("steps") or []}
    look = Look(
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
        look.due.append(limit)
    seen = _numbers(observed)
    for step in steps:
        look_at_attempts(look, step, seen.get(step.slug, ()))
    # All attempts are counted by now: what begins from here on keeps within `maxParallel`.
    for step in steps:
        if step.name in look.attempts:
            look_at_last(look, step)
    for step in _in_order(steps):
        if step.name not in look.status:
            look_at_start(look, step)
    entries = [_with_inputs(look, with_words(look.status[step.name])) for step in steps]
    ordered = with_queued(entries, attempts.stamp(began))
    return _conclude(look, old, ordered, began)


def _with_inputs(look: Look, entry: Json) -> Json:
    digest = look.observed.inputs.get(entry["name"])
    return {**entry, "inputs": digest} if digest and entry.get("inputs") != digest else entry


def _source(look: Look, old: Json) -> Json | None:
    """The snapshot that the step that clones has made, or that it took from an earlier run."""
    if old.get("source") or look.observed.source_step is None:
        return old.get("source")
    entry = look.status[look.observed.source_step]
    if entry.get("reused"):
        taken = look.observed.reusable.get(entry["name"])
        return taken.source if taken is not None else None
    if entry["phase"] != "Succeeded" or not entry.get("attempts"):
        return None
    manifest = look.observed.attempts[entry["slug"], entry["attempts"][-1]["number"]].manifest or {}
    return manifest.get("source")


def _numbers(observed: Observed) -> dict[str, list[int]]:
    """The attempts of which anything is to be seen, by slug."""
    found: dict[str, list[int]] = {}
    for (slug, number), view in sorted(observed.attempts.items(), key=lambda item: item[0]):
        if view.job is not None or view.pod is not None:
            found.setdefault(slug, []).append(number)
    return found


def _in_order(steps: Sequence[ExpandedStep]) -> list[ExpandedStep]:
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


def _conclude(look: Look, old: Json, entries: list[Json], began: datetime) -> Decision:
    base: Json = {
        "observedGeneration": look.run["metadata"].get("generation", 1),
        "startTime": attempts.stamp(began),
        "steps": entries,
    }
    runtime = look.observed.runtime or old.get("runtime")
    if runtime:
        base["runtime"] = runtime
    if source := _source(look, old):
        base["source"] = source
    if look.observed.group is not None:
        base["group"] = look.observed.group
    concurrency = look.pipeline.concurrency
    if look.observed.ahead and not look.stopping and concurrency is not None:
        base["ahead"] = [each.name for each in look.observed.ahead]
        if concurrency.policy == "cancel-running":
            look.actions += [CancelRun(o.name) for o in look.observed.ahead if o.earlier and not o.cancelled]
    actions = tuple(look.actions)
    if all(entry["phase"] in FINAL for entry in entries):
        waiting, give_up = _open_ends(look, entries)
        if not waiting:
            status = finished_run(base | {"criticalPath": critical_path(entries)}, old, entries, look.now)
            return Decision(status, actions)
        look.due.append(give_up)
        base["waitingForLogs"] = True
    status = running_run(base, old, entries, look.now)
    return Decision(status, actions, min(look.due, default=None))


def _open_ends(look: Look, entries: list[Json]) -> tuple[bool, datetime]:
    """Whether logs have not reached their end or workspaces are still being kept, and until when that is waited for."""
    ends = [datetime.fromisoformat(e["completionTime"]) for e in entries if e.get("completionTime")]
    if look.observed.since is not None:
        # What ended while nobody looked has its log all the same.
        ends.append(look.observed.since)
    give_up = max(ends, default=look.now) + timedelta(seconds=look.settings.log_patience)
    open_logs = any(view.open_logs for view in look.observed.attempts.values())
    running = any(view.pod is not None and not is_over(view.pod) for view in look.observed.attempts.values())
    kept = any(
        attempts.awaits_workspace(
            attempt, look.observed.attempts.get((entry["slug"], attempt["number"]), AttemptView())
        )
        for entry in entries
        for attempt in entry.get("attempts") or []
    )
    return (open_logs or running or kept) and look.now < give_up, give_up
