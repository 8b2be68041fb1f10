"""What a forge is to be shown of a run: a pure function of the run and its connection."""

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
_WORKSPACE = "/workspace"
"""Where steps have the repository."""
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
class Annotation:
    """What failed at a line of a file of the repository. `line`: from 1."""

    path: str
    line: int
    title: str
    message: str


@dataclass(frozen=True)
class Report:
    """One commit status, or check run. `context` tells it from others of the commit.

    Attributes:
        external_id: identifies the report among those of other runs.
        summary: more than the description, in several lines.
        started, completed: times as in a status; empty as long as they are not known.
        annotations: where it failed.
    """

    commit: str
    context: str
    state: State
    description: str
    url: str
    external_id: str = ""
    summary: str = ""
    started: str = ""
    completed: str = ""
    annotations: tuple[Annotation, ...] = ()

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
        was_reported: whether something of the run was reported to the forge before.
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
    uid, steps = str(run["metadata"].get("uid") or ""), status.get("steps") or ()
    description = _describe(status, state)
    own = Report(
        commit,
        context,
        state,
        _shortened(description),
        url,
        external_id=uid,
        summary="\n".join([description, "", *(_step_line(step) for step in steps)]).strip(),
        started=str(status.get("startTime") or ""),
        completed=str(status.get("completionTime") or "") if state in FINAL else "",
        annotations=_annotations(status) if state is State.FAILURE else (),
    )
    if policy != "step":
        return [own]
    return [own, *(_step_report(own, step) for step in steps)]


def _step_report(run: Report, step: Json) -> Report:
    state = _STEP_STATES.get(str(step.get("phase")), State.PENDING)
    message = str(step.get("message") or step.get("phase") or "")
    return Report(
        run.commit,
        f"{run.context}/{step['name']}",
        state,
        _shortened(message),
        run.url,
        external_id=f"{run.external_id}/{step.get('slug') or step['name']}",
        summary=_step_line(step),
        started=str(step.get("startTime") or ""),
        completed=str(step.get("completionTime") or "") if state in FINAL else "",
    )


def _step_line(step: Json) -> str:
    message = step.get("message")
    return f"{step['name']}: {step.get('phase') or StepPhase.PENDING}" + (f", {message}" if message else "")


def _annotations(status: Json) -> tuple[Annotation, ...]:
    """The errors of the pipeline file, and the first failing line of each failed step that names a file."""
    found = [
        Annotation(path, int(each["line"]), "Pipeline file", str(each["message"]))
        for each in status.get("problems") or ()
        if (path := _repository_path(str(each["file"])))
    ]
    for step in status.get("steps") or ():
        failure = step.get("firstFailure") or {}
        path = _repository_path(str(failure.get("file") or ""))
        if path and int(failure.get("fileLine") or 0) > 0:
            found.append(Annotation(path, int(failure["fileLine"]), str(step["name"]), str(failure.get("text") or "")))
    return tuple(found)


def _repository_path(file: str) -> str:
    """A path as a tool printed it, relative to the repository; empty for one that is not in it."""
    path = file.replace("\\", "/").removeprefix(f"{_WORKSPACE}/")
    while path.startswith("./"):
        path = path[2:]
    is_inside = path and not path.startswith("/") and ":" not in path and ".." not in path.split("/")
    return path if is_inside else ""


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
