"""One attempt of a step as it stands in the status: begun, updated from its pod, ended. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from controller.operator import names
from controller.operator.observed import AttemptView, Milestones, sight, started_containers
from controller.pipeline import duration
from controller.pipeline.graph import ExpandedStep
from controller.pipeline.model import Step

Json = dict[str, Any]

MOST_DISRUPTIONS = 5
_FINAL = ("Succeeded", "Failed", "Cancelled")
# A Job that the cache has not shown for so long is gone.
_MISSING_AFTER = timedelta(seconds=20)


def stamp(moment: datetime) -> str:
    """RFC 3339 with microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new(run: Json, step: ExpandedStep, number: int, now: datetime) -> Json:
    return {
        "number": number,
        "jobName": names.job_name(run["metadata"]["name"], step.slug, number),
        "phase": "Running",
        "reason": "Created",
        "times": {"created": stamp(now)},
    }


def updated(attempt: Json, view: AttemptView, step: Step, now: datetime) -> Json:
    """The attempt after a look at its pod. A final verdict stays; times, containers and the log may still be added."""
    fresh = {**attempt, "times": _times(attempt["times"], view.milestones)}
    if view.pod is not None:
        fresh["podName"] = view.pod["metadata"]["name"]
        if containers := started_containers(view.pod):
            fresh["containers"] = containers
    if view.log is not None:
        fresh["log"] = view.log
    if attempt["phase"] in _FINAL:
        return fresh
    if view.job is None and view.pod is None:
        return _lost(fresh, now)
    limit = step.resources.memory if step.resources else None
    seen = sight(view, artifacts=bool(step.artifacts), memory_limit=limit)
    fresh["reason"] = seen.reason
    if seen.message:
        fresh["message"] = seen.message
    else:
        fresh.pop("message", None)
    if seen.exit_code is not None:
        fresh["exitCode"] = seen.exit_code
    if seen.phase is None:
        return fresh
    return _ended(fresh, seen.phase, step, now)


def _ended(fresh: Json, phase: str, step: Step, now: datetime) -> Json:
    fresh["phase"] = phase
    fresh["times"].setdefault("finished", stamp(now))
    stopping = fresh.pop("stopping", None)
    if phase == "Failed" and stopping == "Cancelled":
        fresh |= {"phase": "Cancelled", "reason": "RunCancelled", "message": "stopped, because the run was cancelled"}
    elif phase == "Failed" and stopping == "RunTimeout":
        fresh |= {"phase": "Cancelled", "reason": "Timeout", "message": "stopped, because the run took too long"}
    elif phase == "Failed" and stopping == "Timeout":
        fresh |= {"reason": "Timeout", "message": f"stopped after {step.timeout}, its timeout"}
    elif phase == "Succeeded" and step.artifacts:
        fresh["times"].setdefault("uploaded", stamp(now))
    return fresh


def _lost(fresh: Json, now: datetime) -> Json:
    """Its Job is not there: not yet, or no longer."""
    if now - datetime.fromisoformat(fresh["times"]["created"]) < _MISSING_AFTER:
        return fresh
    stopping = fresh.pop("stopping", None)
    fresh["times"].setdefault("finished", stamp(now))
    if stopping:
        return {**fresh, "phase": "Cancelled", "reason": "RunCancelled", "message": "its Job is gone"}
    return {**fresh, "phase": "Failed", "reason": "Disrupted", "message": "its Job was deleted"}


def _times(times: Json, seen: Milestones) -> Json:
    result = dict(times)
    for name in ("scheduled", "fetching", "running", "finished"):
        moment = getattr(seen, name)
        if moment is not None and name not in result:
            result[name] = stamp(moment)
    return result


def wants_manifest(attempt: Json, view: AttemptView, step: Step) -> bool:
    """Whether the upload has ended and nobody has looked yet at what it committed."""
    if not step.artifacts or attempt["phase"] in _FINAL or view.manifest is not None or view.manifest_read:
        return False
    return bool(attempt["reason"] == "Uploading" and "being checked" in attempt.get("message", ""))


def must_stop(
    attempt: Json, step: Step, now: datetime, *, cancelled: bool, timed_out: bool
) -> tuple[str | None, datetime | None]:
    """(why the attempt has to be stopped, or None; when that would be due)."""
    if attempt.get("stopping"):
        return attempt["stopping"], None
    if cancelled:
        return "Cancelled", None
    if timed_out:
        return "RunTimeout", None
    running = attempt["times"].get("running")
    if running is None or attempt["times"].get("finished"):
        return None, None
    due = datetime.fromisoformat(running) + timedelta(seconds=duration.seconds(step.timeout))
    return ("Timeout", None) if now >= due else (None, due)


def ended_unstarted(attempt: Json, why: str, now: datetime) -> Json:
    """An attempt whose Job never came to be."""
    times = {**attempt["times"], "finished": stamp(now)}
    reason = "RunCancelled" if why == "Cancelled" else "Timeout"
    fresh = {**attempt, "phase": "Cancelled", "reason": reason, "times": times}
    fresh.pop("stopping", None)
    return {**fresh, "message": "stopped before it began"}
