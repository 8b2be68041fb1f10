"""How large a run and its status may get, and how a status is shortened so that it can be stored.

Kubernetes stores an object in one piece: etcd refuses more than 1.5 MiB (`--max-request-bytes`, by default 1,572,864).
A status is therefore a summary: lists of artifacts are in their manifests, and of attempts other than the last only
the outcome is kept. What a run needs at least is computed when it is made, and one above `MAX_RUN_BYTES` is refused.
What the texts of a status need beyond that is not known before: a status that has become too large is shortened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from controller.run_types.objects import AttemptStatus, RunStatus

Json = dict[str, Any]

MAX_RUN_BYTES = 1 << 20
"""Of the spec of a run and the shortest status that describes all its steps."""
MAX_OBJECT_BYTES = 1_400_000
"""A status is shortened before the run as a whole exceeds this: etcd's limit, less what it and Kubernetes add."""

UNSHORTENED = 0
MOST_SHORTENED = 3
"""The last level: only what is said of the run as a whole is left."""
SHORTENED_CONDITION = "StatusShortened"
"""Type of the condition of a status that was shortened."""
_REASON = "StatusTooLarge"

_MAX_SUMMARY_MESSAGE, _MAX_RUN_MESSAGE = 100, 1000
_SUMMARY_FIELDS = (
    "number",
    "jobName",
    "podName",
    "phase",
    "reason",
    "message",
    "exitCode",
    "stopping",
    "held",
    "early",
    "unconfirmed",
    "reportedExitCode",
    "containers",
    "kept",
    "tests",
)
_SUMMARY_TIMES = ("queued", "created", "running", "finished")
_SUMMARY_LOG = ("lines", "bytes", "archived")
_SUMMARY_KEYS, _SUMMARY_TIME_KEYS, _SUMMARY_LOG_KEYS = (
    frozenset((*_SUMMARY_FIELDS, "times", "log")),
    frozenset(_SUMMARY_TIMES),
    frozenset(_SUMMARY_LOG),
)
_SHORTEST_STEP = (
    "name",
    "slug",
    "matrixOf",
    "dependsOn",
    "allowFailure",
    "phase",
    "reason",
    "startTime",
    "completionTime",
    "artifacts",
    "reused",
)
_SHORTEST_ATTEMPT = ("number", "jobName", "phase", "reason", "stopping", "unconfirmed")
_SHORTEST_TIMES = ("created", "running", "finished")
_LOG_TEXTS = ("firstFailure", "lastLine")


def json_size(value: Any) -> int:
    """The size of a value in bytes, as JSON without spaces: custom resources are stored so."""
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass"))


# -- by construction


def summarize_attempts(attempts: Sequence[AttemptStatus]) -> list[AttemptStatus]:
    """The attempts of a step: the last one whole, the earlier ones without the texts of their logs."""
    return [*(cast("AttemptStatus", _summarize(each)) for each in attempts[:-1]), *attempts[-1:]]


def _summarize(attempt: Mapping[str, Any]) -> Mapping[str, Any]:
    if _is_summary(attempt):
        return attempt
    found = _pick(attempt, _SUMMARY_FIELDS)
    if "message" in found:
        found["message"] = _cut(found["message"], _MAX_SUMMARY_MESSAGE)
    found["times"] = _pick(attempt["times"], _SUMMARY_TIMES)
    if "log" in attempt:
        found["log"] = _pick(attempt["log"], _SUMMARY_LOG)
    return found


def _is_summary(attempt: Mapping[str, Any]) -> bool:
    """Whether nothing is to be left out, as for nearly all attempts of a run that is decided on again."""
    return (
        attempt.keys() <= _SUMMARY_KEYS
        and attempt["times"].keys() <= _SUMMARY_TIME_KEYS
        and attempt.get("log", {}).keys() <= _SUMMARY_LOG_KEYS
        and len(attempt.get("message", "")) <= _MAX_SUMMARY_MESSAGE
    )


# -- when it has become too large


def shorten(status: RunStatus, level: int, size: int) -> RunStatus:
    """A status with less in it.

    Args:
        level: 0: whole; 1: without the texts of logs; 2: only names, outcomes and times of steps; 3: without steps.
        size: of the run with its whole status, in bytes, for the message.
    """
    if level == UNSHORTENED:
        return status
    steps = status.get("steps") or []
    if level == 1:
        fresh: Json = {**status, "steps": [_without_texts(step) for step in steps]}
    else:
        fresh = {key: value for key, value in status.items() if key not in ("criticalPath", "steps")}
        fresh["steps"] = [_shortest(step) for step in steps] if level < MOST_SHORTENED else []
    left_out = ("the texts of logs are", "details of steps are", "all steps are")[level - 1]
    said = f"{left_out} left out of the status: with them the run would have {size:,} bytes, more than can be stored"
    fresh["message"] = f"{_cut(str(status.get('message', '')), _MAX_RUN_MESSAGE)}; {said}"
    condition = {"type": SHORTENED_CONDITION, "status": "True", "reason": _REASON, "message": said}
    fresh["conditions"] = [*(_with_short_message(each) for each in status.get("conditions") or []), condition]
    return cast("RunStatus", fresh)


def fitting_level(status: RunStatus, least: int, other_bytes: int) -> tuple[int, int]:
    """(the level of `shorten` at which the run can be stored; the size of the run with its whole status).

    Args:
        least: the level to begin with.
        other_bytes: the size of the run without its status.
    """
    size = other_bytes + json_size(status)
    level = least
    while level < MOST_SHORTENED:
        taken = size if level == UNSHORTENED else other_bytes + json_size(shorten(status, level, size))
        if taken <= MAX_OBJECT_BYTES:
            break
        level += 1
    return level, size


def _without_texts(step: Mapping[str, Any]) -> Json:
    fresh = {**step, "message": _cut(str(step.get("message", "")), _MAX_SUMMARY_MESSAGE)}
    if "attempts" in step:
        fresh["attempts"] = [_without_log_texts(attempt) for attempt in step["attempts"]]
    return fresh


def _without_log_texts(attempt: Mapping[str, Any]) -> Json:
    fresh = {**attempt, "message": _cut(str(attempt.get("message", "")), _MAX_SUMMARY_MESSAGE)}
    if "usage" in attempt:
        fresh["usage"] = _pick(attempt["usage"], ("memory", "cpu", "samples"))
    if "tests" in attempt:
        fresh["tests"] = {key: value for key, value in attempt["tests"].items() if key != "warning"}
    if "log" in attempt:
        fresh["log"] = {key: value for key, value in attempt["log"].items() if key not in _LOG_TEXTS}
    return fresh


def _shortest(step: Mapping[str, Any]) -> Json:
    fresh = _pick(step, _SHORTEST_STEP)
    if "attempts" in step:
        fresh["attempts"] = [_shortest_attempt(attempt) for attempt in step["attempts"]]
    return fresh


def _shortest_attempt(attempt: Json) -> Json:
    kept = {"kept": _pick(attempt["kept"], ("bytes", "files"))} if "kept" in attempt else {}
    return {**_pick(attempt, _SHORTEST_ATTEMPT), **kept, "times": _pick(attempt["times"], _SHORTEST_TIMES)}


def _with_short_message(condition: Mapping[str, Any]) -> Json:
    return {**condition, "message": _cut(str(condition.get("message", "")), _MAX_RUN_MESSAGE)}


def _pick(obj: Mapping[str, Any], fields: Sequence[str]) -> Json:
    return {field: obj[field] for field in fields if field in obj}


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


# -- when a run is made

_TIME = "2026-01-01T00:00:00.000000Z"
_ATTEMPT_BYTES = 1 + json_size(
    {
        "number": 10,
        "jobName": "j" * 63,
        "phase": "Cancelled",
        "reason": "ArtifactUploadFailed",
        "times": dict.fromkeys(_SHORTEST_TIMES, _TIME),
    }
)
_STEP_BYTES = 1 + json_size(
    {
        "name": "",
        "slug": "s" * 40,
        "matrixOf": "",
        "dependsOn": [],
        "allowFailure": False,
        "phase": "Cancelled",
        "reason": "ArtifactUploadFailed",
        "startTime": _TIME,
        "completionTime": _TIME,
        "artifacts": {"files": 200_000, "bytes": 1 << 40},
        "attempts": [],
    }
)
_RUN_BYTES = 8192
"""Of the metadata of a run and of what its status says of the run as a whole, whose texts are cut."""


def least_step_bytes(name: str, matrix_of: str, depends_on: Sequence[str], attempts: int) -> int:
    """The size of the shortest status of a step that is tried so many times."""
    texts = sum(json_size(text) + 1 for text in (name, matrix_of, *depends_on))
    return _STEP_BYTES + texts + attempts * _ATTEMPT_BYTES


def least_run_bytes(spec: Mapping[str, Any], steps_bytes: int) -> int:
    """The size of a run with the shortest status that describes all its steps.

    Args:
        steps_bytes: the sum of `least_step_bytes` of its steps.
    """
    return _RUN_BYTES + json_size(spec) + steps_bytes


def too_large_message(size: int, steps: int) -> str:
    """Why a run of this size is refused, and what to do."""
    return (
        f"the definition and the status of its {steps} steps need at least {size:,} bytes, and a run may have "
        f"{MAX_RUN_BYTES:,}: Kubernetes stores it as one object; shorten commands and the values of matrices, or "
        "divide the pipeline"
    )
