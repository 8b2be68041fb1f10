"""The record of an ended run, and the history of a pipeline that records are merged into. Pure.

A record has short names, because a history has fifty of them: `n` name of the step, `p` phase, `s` seconds of its
commands, `q` seconds in queues, `a` and `l` bytes of its artifacts and its log, `r` whether its result was reused, `t`
tests (total, failed, skipped), `u` what it used (peak memory in bytes, peak CPU in thousandths of a core, samples),
`oom` whether an attempt was killed for its memory limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from controller.run_numbers import pipeline_of
from controller.run_types.order import CreationKey, creation_key, number_of
from controller.run_types.phases import FINAL_RUN_PHASES
from controller.run_types.reasons import StepReason
from controller.run_types.summary import status_of

Json = dict[str, Any]

KEPT_RUNS = 50
MAX_STEPS = 300
_MAX_NAME = 253


def pipeline_of_record(run: Mapping[str, Any]) -> str | None:
    """The pipeline whose history an ended run belongs to; None for one that belongs to none, or has not ended.

    Debug copies belong to none, nor do runs of pull requests from forks: strangers wrote what they ran.
    """
    spec = run.get("spec") or {}
    is_copy = bool((spec.get("source") or {}).get("kept"))
    if is_copy or (spec.get("trigger") or {}).get("fork"):
        return None
    status = run.get("status") or {}
    if status.get("phase") not in FINAL_RUN_PHASES or not status.get("completionTime"):
        return None
    return pipeline_of(run)


def make_record(run: Mapping[str, Any]) -> Json:
    """The record of an ended run."""
    status, spec, metadata = status_of(run), run.get("spec") or {}, run["metadata"]
    steps = [_step(each, spec) for each in (status.get("steps") or ())[:MAX_STEPS]]
    began, ended = _time(status.get("startTime")), _time(status.get("completionTime"))
    record: Json = {
        "uid": str(metadata["uid"]),
        "run": str(metadata["name"]),
        "number": number_of(run),
        "phase": str(status["phase"]),
        "commit": str((status.get("source") or {}).get("commit") or spec.get("commit") or ""),
        "branch": str(spec.get("branch") or ""),
        "created": str(metadata.get("creationTimestamp") or ""),
        "ended": str(status.get("completionTime") or ""),
        "s": _seconds(began, ended),
        "steps": steps,
    }
    return record


def _step(step: Mapping[str, Any], spec: Mapping[str, Any]) -> Json:
    attempts = step.get("attempts") or ()
    last = attempts[-1] if attempts else {}
    times = last.get("times") or {}
    entry: Json = {"n": str(step["name"])[:_MAX_NAME], "p": str(step["phase"])}
    running = _time(times.get("running"))
    if (seconds := _seconds(running, _time(times.get("finished")))) is not None:
        entry["s"] = seconds
    if (queued := _seconds(_time(times.get("queued") or times.get("created")), running)) is not None:
        entry["q"] = queued
    artifacts = step.get("artifacts")
    if isinstance(artifacts, Mapping):
        entry["a"] = int(artifacts.get("bytes") or 0)
    size = sum(int((each.get("log") or {}).get("bytes") or 0) for each in attempts)
    if size:
        entry["l"] = size
    if step.get("reused"):
        entry["r"] = 1
    if any(each["step"] == step.get("slug") for each in (spec.get("failedTests") or {}).get("steps") or ()):
        entry["part"] = 1
    if tests := last.get("tests"):
        entry["t"] = [int(tests.get(name) or 0) for name in ("total", "failed", "skipped")]
    if any(each.get("reason") == StepReason.OOM_KILLED for each in attempts):
        entry["oom"] = 1
    if usage := last.get("usage"):
        entry["u"] = [int(usage.get(name) or 0) for name in ("memory", "cpu", "samples")]
    return entry


def merge(history: Sequence[Json], records: Iterable[Json]) -> list[Json]:
    """The last runs of both, each once, oldest first."""
    by_uid = {record["uid"]: record for record in (*history, *records)}
    return sorted(by_uid.values(), key=_end_order)[-KEPT_RUNS:]


def _end_order(record: Json) -> tuple[str, CreationKey[str]]:
    """Sorts records by the end of their runs; of those that ended together, as they were created."""
    created, name = str(record.get("created") or ""), str(record.get("run") or "")
    return record["ended"], creation_key(created, record.get("number"), name, uid=record["uid"])


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None


def _seconds(began: datetime | None, ended: datetime | None) -> float | None:
    return None if began is None or ended is None else round(max(0.0, (ended - began).total_seconds()), 3)
