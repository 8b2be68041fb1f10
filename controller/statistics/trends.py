"""What the last runs of a pipeline say: medians, and what has become slower, since when. Pure.

Of durations only those count of steps that succeeded by running all they have: not of steps that failed, whose result
was reused, or that ran only the tests that had failed. A step (or the pipeline) is *slower* if its last such durations
are each more than 30 % above the median of those before them, and at least half a second: from the first of these
durations on, it has been slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from controller.run_types.phases import RunPhase, StepPhase

Json = dict[str, Any]

SLOWER = 1.3
MIN_BEFORE = 5
"""Durations before that a median is taken of."""
MIN_DIFFERENCE = 0.5
"""Seconds."""


def pipeline_statistics(name: str, records: Sequence[Json]) -> Json:
    """The statistics of a pipeline and of its steps, in the order in which the last run has them."""
    runs = [
        {
            "run": each["run"],
            "number": each["number"],
            "commit": each["commit"] or None,
            "branch": each["branch"] or None,
            "phase": each["phase"],
            "endedAt": each["ended"],
            "seconds": each["s"],
        }
        for each in records
    ]
    names = list(dict.fromkeys(step["n"] for record in reversed(records) for step in record["steps"]))
    return {
        **pipeline_summary(name, records),
        "runs": runs,
        "steps": [_step_statistics(each, records) for each in names[:300]],
    }


def pipeline_summary(name: str, records: Sequence[Json]) -> Json:
    """The same without runs and steps: durations of the last runs, oldest first; null for runs that did not succeed."""
    samples = [(each, each["s"] if each["phase"] == RunPhase.SUCCEEDED else None) for each in records]
    return {
        "pipeline": name,
        "count": len(records),
        "succeeded": sum(each["phase"] == RunPhase.SUCCEEDED for each in records),
        "failed": sum(each["phase"] == RunPhase.FAILED for each in records),
        "seconds": [seconds for _, seconds in samples],
        **_trend(samples),
    }


def _step_statistics(name: str, records: Sequence[Json]) -> Json:
    found = [(record, step) for record in records for step in record["steps"] if step["n"] == name]
    samples = [(record, _duration(step)) for record, step in found]
    queued = [step["q"] for _, step in found if "q" in step]
    tests = [step["t"] for _, step in found if "t" in step]
    used = [step["u"] for _, step in found if step.get("u") and step["u"][2]]
    return {
        "name": name,
        "phases": [step["p"] for _, step in found],
        "succeeded": sum(step["p"] == StepPhase.SUCCEEDED for _, step in found),
        "failed": sum(step["p"] == StepPhase.FAILED for _, step in found),
        "reused": sum(bool(step.get("r")) for _, step in found),
        "seconds": [seconds for _, seconds in samples],
        "queueSeconds": [step.get("q") for _, step in found],
        "medianQueueSeconds": round(median(queued), 3) if queued else None,
        "artifactBytes": _last(found, "a"),
        "logBytes": _last(found, "l"),
        "tests": {"total": tests[-1][0], "failed": tests[-1][1], "skipped": tests[-1][2]} if tests else None,
        "peakMemory": max((each[0] for each in used), default=None),
        "peakCpu": max((each[1] for each in used), default=None),
        "usageSamples": sum(each[2] for each in used),
        "runsWithUsage": len(used),
        "outOfMemory": sum(bool(step.get("oom")) for _, step in found),
        **_trend(samples),
    }


def _last(found: Sequence[tuple[Json, Json]], field: str) -> int | None:
    return next((int(step[field]) for _, step in reversed(found) if field in step), None)


def _duration(step: Json) -> float | None:
    """The duration of a step that counts."""
    if step["p"] != StepPhase.SUCCEEDED or step.get("r") or step.get("part"):
        return None
    seconds = step.get("s")
    return None if seconds is None else float(seconds)


def _trend(samples: Sequence[tuple[Json, float | None]]) -> Json:
    counted = [(record, seconds) for record, seconds in samples if seconds is not None]
    durations = [seconds for _, seconds in counted]
    first = slower_since(durations)
    trend: Json = {
        "medianSeconds": round(median(durations), 3) if durations else None,
        "lastSeconds": durations[-1] if durations else None,
        "slower": None,
    }
    if first is not None:
        record, before = counted[first][0], median(durations[:first])
        trend["slower"] = {
            "beforeSeconds": round(before, 3),
            "percent": round(100 * (median(durations[first:]) / before - 1)) if before else None,
            "sinceRun": record["run"],
            "sinceCommit": record["commit"] or None,
        }
    return trend


def slower_since(durations: Sequence[float]) -> int | None:
    """The position of the first duration of those at the end that are slower than those before; None if none is."""
    first = None
    for at in range(len(durations) - 1, MIN_BEFORE - 1, -1):
        before = median(durations[:at])
        if not all(each > SLOWER * before and each - before >= MIN_DIFFERENCE for each in durations[at:]):
            break
        first = at
    return first
