"""What a forge is to be told of a run: a pure function of the run and its connection."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from controller.run_types.phases import RunPhase, StepPhase
from controller.run_types.reasons import RunReason
from controller.run_types.summary import status_of

Json = Mapping[str, Any]

MAX_DESCRIPTION = 140
"""Characters that GitHub takes; the others take more."""
_FULL_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class State(StrEnum):
    """The state of a run or step, in words that every forge has."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"


_RUN_STATES: Mapping[str, State] = {
    RunPhase.PENDING: State.PENDING,
    RunPhase.QUEUED: State.PENDING,
    RunPhase.RUNNING: State.RUNNING,
    RunPhase.SUCCEEDED: State.SUCCESS,
    RunPhase.FAILED: State.FAILURE,
    RunPhase.CANCELLED: State.CANCELLED,
}
_STEP_STATES: Mapping[str, State] = {
    StepPhase.PENDING: State.PENDING,
    StepPhase.RUNNING: State.RUNNING,
    StepPhase.SUCCEEDED: State.SUCCESS,
    StepPhase.FAILED: State.FAILURE,
    StepPhase.SKIPPED: State.SUCCESS,
    StepPhase.CANCELLED: State.CANCELLED,
}
FINAL = (State.SUCCESS, State.FAILURE, State.CANCELLED)


@dataclass(frozen=True)
class Report:
    """One commit status. `context` tells it from others of the commit."""

    commit: str
    context: str
    state: State
    description: str
    url: str

    @property
    def digest(self) -> str:
        """A short digest of what is said, to compare with what was said last."""
        said = "\0".join((self.commit, self.state, self.description, self.url))
        return f"{self.state} {hashlib.sha256(said.encode()).hexdigest()[:12]}"


def reports_of(run: Json, policy: str, url: str, *, was_reported: bool) -> list[Report]:
    """The commit statuses of a run, the run's own first.

    Args:
        policy: `statuses` of the connection: `run`, `step` or `off`.
        url: the page of the run.
        was_reported: whether the forge was told something of the run before.
    """
    spec, status = run["spec"], status_of(run)
    trigger = spec.get("trigger") or {}
    commit = str((status.get("source") or {}).get("commit") or spec.get("commit") or "")
    if policy == "off" or not trigger.get("connection") or not commit:
        return []
    phase = str(status.get("phase") or RunPhase.PENDING)
    state = _RUN_STATES.get(phase, State.PENDING)
    if status.get("reason") == RunReason.NOT_TRIGGERED:
        # The event asks for nothing: no check that a merge could wait for, unless one was announced.
        if not was_reported:
            return []
        state = State.SUCCESS
    context = f"c8s/{trigger['connection']}"
    if (spec.get("pipelineConfigRef") or {}).get("name"):
        context += f"/{spec['pipelineConfigRef']['name']}"
    found = [Report(commit, context, state, _shortened(_describe(status, state)), url)]
    if policy == "step":
        for step in status.get("steps") or ():
            message = str(step.get("message") or step.get("phase") or "")
            step_state = _STEP_STATES.get(str(step.get("phase")), State.PENDING)
            found.append(Report(commit, f"{context}/{step['name']}", step_state, _shortened(message), url))
    return found


def has_full_commit(report: Report) -> bool:
    """Whether the commit is complete; Bitbucket Cloud shortens those of pull requests."""
    return _FULL_COMMIT.fullmatch(report.commit) is not None


def _describe(status: Json, state: State) -> str:
    if state is State.RUNNING:
        summary = status.get("summary") or {}
        return f"{summary['progress']} steps done" if summary.get("progress") else "running"
    return str(status.get("message") or "waiting to start")


def _shortened(text: str) -> str:
    """One line of printable characters."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= MAX_DESCRIPTION else f"{line[: MAX_DESCRIPTION - 1]}…"
