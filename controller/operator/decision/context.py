"""One look at a run: what is known, what is decided so far, how a step's entry in the status is made. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controller.operator.decision import attempts
from controller.operator.decision.actions import Action, StartAttempt, StopPod
from controller.operator.decision.observation import AttemptView, Observed, is_over
from controller.operator.settings import OperatorSettings
from controller.pipeline.graph.expand import ExpandedStep
from controller.pipeline.model import Pipeline

Json = dict[str, Any]
Verdict = tuple[str, str, str]
"""Phase, reason and message."""

FINAL = ("Succeeded", "Failed", "Skipped", "Cancelled")


@dataclass
class Look:
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
    attempts: dict[str, list[Json]] = field(default_factory=dict)
    """The attempts of steps that have begun, by the step's name, brought up to date."""
    status: dict[str, Json] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    due: list[datetime] = field(default_factory=list)
    active: int = 0

    @property
    def stopping(self) -> bool:
        return self.cancelled or self.timed_out

    @property
    def stops(self) -> str:
        """Why a pod that was stopped was stopped."""
        return "Cancelled" if self.cancelled else "RunTimeout" if self.timed_out else "Timeout"

    def view(self, step: ExpandedStep, number: int) -> AttemptView:
        return self.observed.attempts.get((step.slug, number), AttemptView())


def entry_of(step: ExpandedStep, before: Json | None, **values: Any) -> Json:
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


def start(look: Look, step: ExpandedStep, before: Json | None, earlier: list[Json], number: int) -> None:
    look.actions.append(StartAttempt(step, number))
    look.active += 1
    look.status[step.name] = entry_of(
        step,
        before,
        phase="Pending",
        reason="Created",
        message="its Job is being created" if number == 1 else f"attempt {number} is being created",
        attempts=[*earlier, attempts.new(look.run, step, number, look.now)],
    )


def held(look: Look, step: ExpandedStep, before: Json | None, verdict: Verdict, **more: Any) -> Json:
    """The entry of a step that does not start now, or never."""
    phase, reason, message = verdict
    if phase in FINAL:
        more["completionTime"] = attempts.stamp(look.now)
    return entry_of(step, before, phase=phase, reason=reason, message=message, **more)


def not_now(look: Look, step: ExpandedStep, number: int) -> Verdict | None:
    """What keeps an attempt from beginning that is due: the cluster refused it, or enough is running."""
    refusal = look.observed.refused.get((step.slug, number))
    if refusal is not None and refusal.final:
        return "Failed", refusal.reason, refusal.message
    if refusal is not None and look.now < refusal.until:
        look.due.append(refusal.until)
        return "Pending", refusal.reason, refusal.message
    if (never := look.observed.never_fits.get(step.name)) is not None:
        return "Failed", "NeverFits", never
    limit = look.pipeline.max_parallel
    if limit is not None and look.active >= limit:
        return "Pending", "MaxParallel", f"{look.active} steps run and maxParallel is {limit}"
    return None


def stop_pod(look: Look, pod: Json | None) -> None:
    if pod is not None and not is_over(pod) and not attempts.is_stopped(pod):
        look.actions.append(StopPod(pod["metadata"]["namespace"], pod["metadata"]["name"]))
