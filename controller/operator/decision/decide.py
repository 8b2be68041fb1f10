"""Decides what a run needs next: a pure function from the run, what is observed of it, and the time.

All state is in the run's status and in the cluster. The same input gives the same decision, and executing its actions
twice is harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from controller.operator.decision import attempts
from controller.operator.decision.actions import Action, CancelRun, DeleteJob, ReadProvidedSecrets
from controller.operator.decision.builder import DecisionBuilder, ReconcileInput
from controller.operator.decision.concurrency import has_started_steps
from controller.operator.decision.early_pods import decide_early_pods
from controller.operator.decision.observation import LOGS_TIMER, RUN_TIMER, Observation
from controller.operator.decision.pending_steps import evaluate_start
from controller.operator.decision.pods.status import is_pod_finished
from controller.operator.decision.run_status import (
    add_failure_excerpt,
    add_queue_times,
    concluded_without_pipeline,
    critical_path,
    finished_status,
    running_status,
)
from controller.operator.decision.started_steps import update_attempts, update_current_attempt
from controller.operator.decision.waiting import request_reports, suspended_time
from controller.operator.run_object import status_of
from controller.operator.settings import OperatorSettings
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import Pipeline
from controller.pipeline.values import duration
from controller.run_types.phases import FINAL_RUN_PHASES, FINAL_STEP_PHASES, RunPhase, StepPhase
from controller.run_types.status_size import summarize_attempts

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject, RunStatus, SourceSnapshot, StepStatus

Json = dict[str, Any]
_SECRETS_INTERVAL = timedelta(seconds=1)
_ONLY_INPUTS = "the workspace had only the step's inputs: a file that it needs must be among them"


@dataclass(frozen=True)
class Decision:
    """What a run needs next.

    Attributes:
        requeue_at: when to reconcile again even if nothing changes; None for never.
    """

    status: RunStatus
    actions: tuple[Action, ...] = ()
    requeue_at: datetime | None = None


def decide(
    run: RunObject,
    pipeline: Pipeline,
    steps: Sequence[ExpandedStep],
    observed: Observation,
    now: datetime,
    settings: OperatorSettings,
) -> Decision:
    """The run's next status, and the actions that it needs. `steps` is the expanded pipeline."""
    old = status_of(run)
    if old.get("phase") in FINAL_RUN_PHASES:
        return Decision(old)
    start_time = datetime.fromisoformat(old["startTime"]) if old.get("startTime") else now
    deadline = None
    if pipeline.timeout:
        limit = timedelta(seconds=duration.parse_duration(pipeline.timeout))
        limit += suspended_time(old.get("steps") or [], now)
        deadline = observed.due(RUN_TIMER, start_time, limit, now)
    builder = DecisionBuilder(
        ReconcileInput(
            run=run,
            pipeline=pipeline,
            steps=steps,
            observation=observed,
            now=now,
            settings=settings,
            previous={status["name"]: status for status in old.get("steps") or []},
            cancelled=bool(run["spec"].get("cancel")),
            timed_out=deadline is not None and now >= deadline,
        )
    )
    if deadline is not None and not builder.input.timed_out:
        builder.requeue_at(deadline)
    _decide_steps(builder)
    statuses = [
        _with_inputs(builder, add_failure_excerpt(builder.statuses[step.name], step.step.commands)) for step in steps
    ]
    statuses = [_with_verified_inputs(builder, step, status) for step, status in zip(steps, statuses, strict=True)]
    statuses = add_queue_times(statuses, steps, attempts.format_time(start_time))
    statuses = [_summarized(status) if len(status.get("attempts", ())) > 1 else status for status in statuses]
    return _conclude(builder, old, statuses, start_time)


def _decide_steps(builder: DecisionBuilder) -> None:
    steps, observed = builder.input.steps, _observed_attempts(builder.input.observation)
    for step in steps:
        update_attempts(builder, step, observed.get(step.slug, ()))
    observation = builder.input.observation
    builder.active_count += sum(key in observation.create_failures for key in observation.unanswered)
    # From here on all active attempts are counted: what starts now keeps within `maxParallel`.
    for step in steps:
        if step.name in builder.attempts:
            update_current_attempt(builder, step)
    for step in _topological_order([step for step in steps if step.name not in builder.statuses]):
        evaluate_start(builder, step)
    decide_early_pods(builder)
    request_reports(builder)
    for attempt, secrets in builder.input.observation.unread_secrets.items():
        builder.act(ReadProvidedSecrets(attempt, secrets))
        builder.requeue_at(builder.input.now + _SECRETS_INTERVAL)


def _with_inputs(builder: DecisionBuilder, status: StepStatus) -> StepStatus:
    digest = builder.input.observation.inputs.get(status["name"])
    return {**status, "inputs": digest} if digest and status.get("inputs") != digest else status


def _with_verified_inputs(builder: DecisionBuilder, step: ExpandedStep, status: StepStatus) -> StepStatus:
    """The status of a step that failed without the files that are not among its inputs says so."""
    is_verified = builder.input.run["spec"].get("verifyInputs") and step.step.inputs is not None
    message = status.get("message", "")
    if not is_verified or status["phase"] != StepPhase.FAILED or _ONLY_INPUTS in message:
        return status
    return {**status, "message": f"{message}; {_ONLY_INPUTS}" if message else _ONLY_INPUTS}


def _summarized(status: StepStatus) -> StepStatus:
    return {**status, "attempts": summarize_attempts(status["attempts"])}


def _observed_attempts(observation: Observation) -> dict[str, list[int]]:
    """The numbers of the attempts that have a Job or a pod, by slug."""
    found: dict[str, list[int]] = {}
    for (slug, number), view in sorted(observation.attempts.items(), key=lambda item: item[0]):
        if view.job is not None or view.pod is not None:
            found.setdefault(slug, []).append(number)
    return found


def _topological_order(steps: Sequence[ExpandedStep]) -> list[ExpandedStep]:
    """The steps after those of them that they depend on, otherwise in the given order. There are no cycles."""
    by_name = {step.name: step for step in steps}
    ordered: dict[str, ExpandedStep] = {}
    for step in steps:
        left = [step]
        while left:
            waits = [name for name in left[-1].depends_on if name in by_name and name not in ordered]
            if waits:
                left.append(by_name[waits[0]])
            else:
                last = left.pop()
                ordered[last.name] = last
    return list(ordered.values())


def _conclude(builder: DecisionBuilder, old: RunStatus, statuses: list[StepStatus], start_time: datetime) -> Decision:
    """The decision about the whole run, once all its steps are decided."""
    now, base = builder.input.now, _base_status(builder, old, statuses, start_time)
    blocking = builder.input.observation.blocking_runs if not builder.input.stopping else ()
    concurrency = builder.input.pipeline.concurrency
    if concurrency is not None and concurrency.policy == "cancel-running":
        for run in blocking:
            if run.created_before and not run.cancel_requested:
                builder.act(CancelRun(run.name, run.uid))
    actions = tuple(builder.actions)
    collecting_logs = reading_pipeline = False
    if all(status["phase"] in FINAL_STEP_PHASES for status in statuses):
        give_up = _log_deadline(builder, statuses)
        collecting_logs = _is_collecting_logs(builder, statuses) and now < give_up
        reading_pipeline = _is_reading_pipeline(builder, statuses)
        if not collecting_logs and not reading_pipeline:
            final = finished_status(
                {**base, "criticalPath": critical_path(statuses, builder.input.steps)}, old, statuses, now
            )
            verdict = builder.input.observation.verdict
            if verdict is not None and final["phase"] == RunPhase.SUCCEEDED:
                final = concluded_without_pipeline(final, old, verdict, now)
            return Decision(final, actions)
        builder.requeue_at(give_up)
    status = running_status(
        base,
        old,
        statuses,
        now,
        blocking_runs=[run.name for run in blocking] if concurrency is not None else [],
        collecting_logs=collecting_logs,
        reading_pipeline=reading_pipeline,
        has_started=has_started_steps(builder.input.run, statuses) if blocking else None,
    )
    return Decision(status, actions, min(builder.requeue_times, default=None))


def _is_reading_pipeline(builder: DecisionBuilder, statuses: list[StepStatus]) -> bool:
    """Whether the repository is cloned, and its pipeline file decides how the run goes on."""
    observation = builder.input.observation
    return (
        observation.is_unresolved
        and observation.verdict is None
        and all(status["phase"] == StepPhase.SUCCEEDED for status in statuses)
    )


def _base_status(
    builder: DecisionBuilder, old: RunStatus, statuses: list[StepStatus], start_time: datetime
) -> RunStatus:
    """The fields of the status that do not depend on the run's phase."""
    base: RunStatus = {
        "observedGeneration": builder.input.run["metadata"].get("generation", 1),
        "phase": RunPhase.PENDING,
        "startTime": attempts.format_time(start_time),
        "steps": statuses,
    }
    if creator := builder.input.observation.creator:
        base["createdBy"] = creator
    if runtime := builder.input.observation.runtime or old.get("runtime"):
        base["runtime"] = runtime
    if source := _source_snapshot(builder, old):
        base["source"] = source
    if builder.input.observation.group is not None:
        base["group"] = builder.input.observation.group
    return base


def _source_snapshot(builder: DecisionBuilder, old: RunStatus) -> SourceSnapshot | None:
    """The snapshot that the clone step made or reused, once there is one."""
    observation = builder.input.observation
    if old.get("source") or observation.source_step is None:
        return old.get("source")
    status = builder.statuses[observation.source_step]
    if status.get("reused"):
        reusable = observation.reusable.get(status["name"])
        return reusable.source if reusable is not None else None
    if status["phase"] != StepPhase.SUCCEEDED or not status.get("attempts"):
        return None
    manifest = observation.view(status["slug"], status["attempts"][-1]["number"]).manifest or {}
    return manifest.get("source")


def _log_deadline(builder: DecisionBuilder, statuses: list[StepStatus]) -> datetime:
    """Until when an ended run waits for its logs and workspaces."""
    ends = [datetime.fromisoformat(status["completionTime"]) for status in statuses if status.get("completionTime")]
    if builder.input.observation.first_seen is not None:
        # Steps may have ended while no operator was running; their logs get the same time.
        ends.append(builder.input.observation.first_seen)
    limit = timedelta(seconds=builder.input.settings.log_timeout)
    since = max(ends, default=builder.input.now)
    return builder.input.observation.due(LOGS_TIMER, since, limit, builder.input.now)


def _is_collecting_logs(builder: DecisionBuilder, statuses: list[StepStatus]) -> bool:
    """Whether pods run, logs are incomplete, workspaces are being saved, or Jobs are being removed."""
    observation = builder.input.observation
    if observation.early or any(isinstance(action, DeleteJob) for action in builder.actions):
        # They are being removed; nothing would do that after the end of the run.
        return True
    for view in observation.attempts.values():
        if view.open_logs or (view.pod is not None and not is_pod_finished(view.pod)):
            return True
    return any(
        awaits(attempt, observation.view(status["slug"], attempt["number"]))
        for status in statuses
        for attempt in status.get("attempts") or []
        for awaits in (attempts.awaiting_workspace, attempts.awaiting_artifacts)
    )
