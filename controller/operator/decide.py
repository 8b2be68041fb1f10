"""What a run needs next. One pure function: the run, what is observed of it and the time in; status and actions out.

State is in the run's status and in the cluster; nothing is remembered here.
Calling it again with the same picture gives the same answer, and doing its
actions twice is harmless.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from controller.operator import attempts, names
from controller.operator.observed import AttemptView, Observed, is_over
from controller.operator.settings import OperatorSettings
from controller.operator.summary import finished_run, running_run
from controller.pipeline import duration
from controller.pipeline.conditions import Occasion, step_runs, when
from controller.pipeline.graph import ExpandedStep
from controller.pipeline.model import Pipeline, RetryPolicy

Json = dict[str, Any]

FINAL = ("Succeeded", "Failed", "Skipped", "Cancelled")
RUN_FINAL = ("Succeeded", "Failed", "Cancelled")


@dataclass(frozen=True)
class StartAttempt:
    """Create the Job of an attempt."""

    step: ExpandedStep
    number: int


@dataclass(frozen=True)
class StopPod:
    """Let the kubelet end the pod and keep it with its logs."""

    namespace: str
    name: str


@dataclass(frozen=True)
class ReadManifest:
    """Ask the store what the agent of an attempt has committed."""

    slug: str
    number: int


@dataclass(frozen=True)
class PrepareSecrets:
    """Make the run's own Secrets: copies of the values it uses, and its agents' token."""


Action = StartAttempt | StopPod | ReadManifest | PrepareSecrets


@dataclass(frozen=True)
class Decision:
    """`look_again`: when something will be due without anything having changed."""

    status: Json
    actions: tuple[Action, ...] = ()
    look_again: datetime | None = None


@dataclass
class _Round:
    """One look at a run: what has been decided so far."""

    run: Json
    pipeline: Pipeline
    steps: Sequence[ExpandedStep]
    observed: Observed
    now: datetime
    settings: OperatorSettings
    before: Mapping[str, Json]
    cancelled: bool
    timed_out: bool
    status: dict[str, Json] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    due: list[datetime] = field(default_factory=list)
    active: int = 0

    @property
    def stopping(self) -> bool:
        return self.cancelled or self.timed_out


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
    look = _Round(
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
    for step in steps:
        _look_at_attempts(look, step)
    for step in _in_order(steps):
        if step.name not in look.status:
            _look_at_start(look, step)
    ordered = [look.status[step.name] for step in steps]
    return _conclude(look, old, ordered, began)


def _in_order(steps: Sequence[ExpandedStep]) -> list[ExpandedStep]:
    """Steps after what they depend on; in the order of the file otherwise."""
    left, done, ordered = list(steps), set[str](), []
    while left:
        ready = [step for step in left if done.issuperset(step.depends_on)]
        ordered += ready
        done |= {step.name for step in ready}
        left = [step for step in left if step.name not in done]
        if not ready:
            # Lint refuses cycles; a definition that came another way must not hang us.
            return ordered + left
    return ordered


def _entry(step: ExpandedStep, before: Json | None, **values: Any) -> Json:
    entry: Json = {
        "name": step.name,
        "slug": step.slug,
        "dependsOn": list(step.depends_on),
        "allowFailure": step.step.allow_failure,
    }
    for kept in ("startTime", "completionTime", "artifacts", "attempts"):
        if before and kept in before:
            entry[kept] = before[kept]
    return {**entry, **values}


# -- steps that have begun


def _look_at_attempts(look: _Round, step: ExpandedStep) -> None:
    """Bring the attempts of a step up to date; leaves out a step that has none and is not over."""
    before = look.before.get(step.name)
    if before and before["phase"] in FINAL and not before.get("attempts"):
        look.status[step.name] = before
        return
    if not before or not before.get("attempts"):
        return
    updated = []
    for attempt in before["attempts"]:
        view = look.observed.attempts.get((step.slug, attempt["number"]), AttemptView())
        fresh = attempts.updated(attempt, view, step.step, look.now)
        updated.append(fresh)
        if (view.pod is not None and not is_over(view.pod)) or fresh["phase"] not in FINAL:
            look.active += 1
        if attempts.wants_manifest(fresh, view, step.step):
            look.actions.append(ReadManifest(step.slug, attempt["number"]))
    last = updated[-1]
    if before["phase"] in FINAL:
        look.status[step.name] = _entry(step, before, **_verdict_of(before), attempts=updated)
    elif last["phase"] in FINAL:
        _after_attempt(look, step, before, updated)
    else:
        look.status[step.name] = _underway(look, step, before, updated)


def _verdict_of(entry: Json) -> Json:
    return {key: entry[key] for key in ("phase", "reason", "message") if key in entry}


def _underway(look: _Round, step: ExpandedStep, before: Json, updated: list[Json]) -> Json:
    """A step whose last attempt goes on: stop it if it must not."""
    last = updated[-1]
    view = look.observed.attempts.get((step.slug, last["number"]), AttemptView())
    why, due = attempts.must_stop(last, step.step, look.now, cancelled=look.cancelled, timed_out=look.timed_out)
    if due is not None:
        look.due.append(due)
    if why is not None:
        last = updated[-1] = {**last, "stopping": why}
        if view.pod is not None and not is_over(view.pod):
            metadata = view.pod["metadata"]
            if (view.pod["spec"].get("activeDeadlineSeconds") or 2) > 1:
                look.actions.append(StopPod(metadata["namespace"], metadata["name"]))
        elif view.pod is None and view.job is None:
            # Nothing was made yet, and nothing will be.
            updated[-1] = attempts.ended_unstarted(last, why, look.now)
            return _final(look, step, before, updated, updated[-1])
    phase = "Running" if last["times"].get("running") else "Pending"
    return _entry(step, before, phase=phase, reason=last["reason"], message=last.get("message", ""), attempts=updated)


def _after_attempt(look: _Round, step: ExpandedStep, before: Json, updated: list[Json]) -> None:
    """The last attempt is over: so is the step, or it is tried again."""
    last = updated[-1]
    policy = step.step.retry_policy or look.pipeline.retry_policy or RetryPolicy()
    counted = sum(attempt["phase"] == "Failed" and attempt["reason"] != "Disrupted" for attempt in updated)
    disrupted = sum(attempt["reason"] == "Disrupted" for attempt in updated)
    again = last["phase"] == "Failed" and not look.stopping and last["reason"] != "Timeout"
    if last["reason"] == "Disrupted":
        again = again and disrupted <= attempts.MOST_DISRUPTIONS
    else:
        again = again and counted <= policy.max_retries
    if not again:
        look.status[step.name] = _final(look, step, before, updated, last)
        return
    wait = 0 if last["reason"] == "Disrupted" else policy.backoff_seconds
    due = datetime.fromisoformat(last["times"]["finished"]) + timedelta(seconds=wait)
    if look.now < due:
        look.due.append(due)
        message = f"attempt {last['number']} failed ({last['message']}); the next begins in {wait} s"
        look.status[step.name] = _entry(
            step, before, phase="Pending", reason="Retrying", message=message, attempts=updated
        )
        return
    number = last["number"] + 1
    look.actions.append(StartAttempt(step, number))
    look.active += 1
    updated.append(attempts.new(look.run, step, number, look.now))
    message = f"attempt {number} is being created"
    look.status[step.name] = _entry(step, before, phase="Pending", reason="Created", message=message, attempts=updated)


def _final(look: _Round, step: ExpandedStep, before: Json, updated: list[Json], last: Json) -> Json:
    entry = _entry(
        step,
        before,
        phase=last["phase"],
        reason=last["reason"],
        message=last.get("message", ""),
        completionTime=last["times"].get("finished") or attempts.stamp(look.now),
        attempts=updated,
    )
    view = look.observed.attempts.get((step.slug, last["number"]), AttemptView())
    if last["phase"] == "Succeeded" and view.manifest is not None:
        entry["artifacts"] = [
            {key: file[key] for key in ("path", "size", "sha256")} for file in view.manifest.get("files") or []
        ]
    return entry


# -- steps that have not begun


def _look_at_start(look: _Round, step: ExpandedStep) -> None:
    before = look.before.get(step.name)
    if before and before["phase"] in FINAL:
        look.status[step.name] = before
        return
    verdict = _may_start(look, step)
    if verdict is not None:
        phase, reason, message = verdict
        extra = {"completionTime": attempts.stamp(look.now)} if phase in FINAL else {}
        look.status[step.name] = _entry(step, before, phase=phase, reason=reason, message=message, **extra)
        return
    look.actions.append(StartAttempt(step, 1))
    look.active += 1
    begun = attempts.stamp(look.now)
    look.status[step.name] = _entry(
        step,
        before,
        phase="Pending",
        reason="Created",
        message="its Job is being created",
        startTime=begun,
        attempts=[attempts.new(look.run, step, 1, look.now)],
    )


def _may_start(look: _Round, step: ExpandedStep) -> tuple[str, str, str] | None:
    """(phase, reason, message) of a step that does not start now; None for one that does."""
    if look.cancelled:
        return "Cancelled", "RunCancelled", "the run was cancelled before the step began"
    if look.timed_out:
        return "Cancelled", "Timeout", f"the run took longer than {look.pipeline.timeout}"
    waiting = [name for name in step.depends_on if look.status[name]["phase"] not in FINAL]
    if waiting:
        return "Pending", "WaitingForSteps", f"waits for {_listed(waiting)}"
    blocked = _blocked(look, step)
    if blocked is not None:
        return blocked
    conditional = step.step.conditional.model_dump(by_alias=True, exclude_none=True) if step.step.conditional else None
    verdict = step_runs(conditional, occasion(look.run))
    if not verdict.runs:
        return "Skipped", "ConditionNotMet", verdict.why
    missing = look.observed.missing_secrets.get(step.name)
    if missing is not None:
        return "Failed", "SecretMissing", missing
    if not look.observed.secrets_ready:
        if not any(isinstance(action, PrepareSecrets) for action in look.actions):
            look.actions.append(PrepareSecrets())
        return "Pending", "Preparing", "the run's secrets are being made ready"
    limit = look.pipeline.max_parallel
    if limit is not None and look.active >= limit:
        return "Pending", "MaxParallel", f"{look.active} steps run and maxParallel is {limit}"
    return None


def _blocked(look: _Round, step: ExpandedStep) -> tuple[str, str, str] | None:
    """Whether what it depends on ended in a way that keeps the step from running."""
    conditional = step.step.conditional.model_dump(by_alias=True, exclude_none=True) if step.step.conditional else None
    wanted = when(conditional)
    bad = [name for name in step.depends_on if _counts_as_failure(look.status[name])]
    if wanted == "success" and bad:
        return "Skipped", "DependencyFailed", _because(look, bad[0])
    if wanted == "failure" and not bad:
        return "Skipped", "ConditionNotMet", "it runs only after a failure, and nothing it depends on failed"
    return None


def _counts_as_failure(entry: Json) -> bool:
    if entry["phase"] in ("Failed", "Cancelled"):
        return not entry["allowFailure"]
    return bool(entry["phase"] == "Skipped" and entry["reason"] == "DependencyFailed")


def _because(look: _Round, name: str) -> str:
    """The step that failed, found through those that were skipped because of it."""
    entry = look.status[name]
    while entry["phase"] == "Skipped":
        name = next(n for n in entry["dependsOn"] if _counts_as_failure(look.status[n]))
        entry = look.status[name]
    word = "was cancelled" if entry["phase"] == "Cancelled" else "failed"
    return f"skipped because {name} {word}"


def _listed(words: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most} more"


def occasion(run: Json) -> Occasion:
    """What the run is about, for conditions."""
    spec = run["spec"]
    event = spec.get("event") or "push"
    tag = spec.get("branch", "") if event == "tag" else ""
    return Occasion(event, spec.get("branch") or "", tag, None)


# -- the run


def _conclude(look: _Round, old: Json, entries: list[Json], began: datetime) -> Decision:
    base: Json = {
        "observedGeneration": look.run["metadata"].get("generation", 1),
        "startTime": attempts.stamp(began),
        "steps": entries,
    }
    runtime = look.observed.runtime or old.get("runtime")
    if runtime:
        base["runtime"] = runtime
    actions = tuple(look.actions)
    if all(entry["phase"] in FINAL for entry in entries):
        waiting, give_up = _open_logs(look, entries)
        if not waiting:
            status = finished_run(base, old, entries, look.cancelled, look.timed_out, look.now)
            return Decision(status, actions)
        look.due.append(give_up)
        base["waitingForLogs"] = True
    status = running_run(base, old, entries, look.now)
    return Decision(status, actions, min(look.due, default=None))


def _open_logs(look: _Round, entries: list[Json]) -> tuple[bool, datetime]:
    """Whether logs of the run have not reached their end, and until when that is waited for."""
    ends = [datetime.fromisoformat(e["completionTime"]) for e in entries if e.get("completionTime")]
    give_up = max(ends, default=look.now) + timedelta(seconds=look.settings.log_patience)
    open_logs = any(view.open_logs for view in look.observed.attempts.values())
    running = any(view.pod is not None and not is_over(view.pod) for view in look.observed.attempts.values())
    return (open_logs or running) and look.now < give_up, give_up


def uses_agents(steps: Sequence[ExpandedStep], run: Json) -> bool:
    """Whether any pod of the run will hold an agent."""
    return bool(run["spec"].get("source")) or any(step.step.artifacts for step in steps)


def used_secrets(step: ExpandedStep) -> list[str]:
    """The keys of the run's Secret whose values must not appear in the step's logs."""
    return sorted({names.secret_key(use) for use in step.step.secrets})
