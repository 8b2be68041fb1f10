"""Serializes Kubernetes objects for the REST API: pure functions from a PipelineRun to a `Run`, and so on."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from controller import labels
from controller.kube.event_order import event_times
from controller.run_numbers import pipeline_of
from controller.run_types.order import number_of
from controller.run_types.phases import RunPhase
from controller.run_types.summary import status_of

if TYPE_CHECKING:
    from controller.run_types.objects import RunStatus

JsonObject = Mapping[str, Any]


def serialize_run(run: JsonObject, *, definition: bool) -> dict[str, Any]:
    """A PipelineRun as a `Run`, with its pipeline if `definition`."""
    meta, spec = run["metadata"], run.get("spec") or {}
    pipeline = spec.get("pipeline") or {}
    serialized: dict[str, Any] = {
        "name": meta["name"],
        "namespace": meta["namespace"],
        "uid": meta.get("uid", ""),
        "number": number_of(run),
        "pipeline": pipeline_of(run),
        "createdAt": meta.get("creationTimestamp"),
        "resourceVersion": str(meta.get("resourceVersion", "")),
        "branch": spec.get("branch"),
        "commit": spec.get("commit"),
        "event": spec.get("event"),
        "params": spec.get("params") or {},
        "priority": spec.get("priority"),
        "triggeredBy": spec.get("triggeredBy"),
        "createdBy": creator_of(run),
        "rerunOf": spec.get("rerunOf"),
        "rerunOfUid": spec.get("rerunOfUid"),
        "reuseFrom": spec.get("reuseFrom"),
        "reuseFromUid": spec.get("reuseFromUid"),
        "trigger": _trigger(run, spec),
        "copyOf": _debug_source(spec),
        "cancelRequested": bool(spec.get("cancel")),
        "verifyInputs": bool(spec.get("verifyInputs")),
        "reuse": bool(spec.get("reuse", pipeline.get("reuse"))),
        "watch": bool(spec.get("watch")),
        "breakpoints": [
            {"step": each.get("step", ""), "at": each.get("at", "before")} for each in spec.get("breakpoints") or []
        ],
        "status": run_status(run),
    }
    if definition:
        serialized["definition"] = pipeline
    return serialized


def _trigger(run: JsonObject, spec: JsonObject) -> dict[str, Any] | None:
    """What happened in the repository, for a run that a delivery started."""
    trigger = spec.get("trigger") or {}
    if not trigger:
        return None
    shown = {name: trigger.get(name) for name in ("connection", "provider", "delivery", "pullRequest", "sender")}
    return {
        **shown,
        "fork": bool(trigger.get("fork")),
        "needsApproval": bool(trigger.get("needsApproval")),
        "approvedBy": (spec.get("approved") or {}).get("by"),
        **_reported(run),
    }


def _reported(run: JsonObject) -> dict[str, Any]:
    """What was last reported to the forge: a state by context, and why it refused that."""
    try:
        found = json.loads((run["metadata"].get("annotations") or {}).get(labels.REPORTED) or "{}")
        said = {str(context): str(text).partition(" ")[0] for context, text in (found.get("said") or {}).items()}
        return {"reported": said, "reportProblem": found.get("problem")}
    except (ValueError, AttributeError):
        return {"reported": {}, "reportProblem": None}


def _debug_source(spec: JsonObject) -> dict[str, Any] | None:
    saved = (spec.get("source") or {}).get("kept")
    return {field: saved.get(field) for field in ("run", "uid", "step", "attempt")} if saved else None


def run_status(run: JsonObject) -> "RunStatus":
    """The run's status; `phase` is always present."""
    status = status_of(run)
    steps = status.get("steps") or ()
    if any(isinstance(step.get("artifacts"), list) for step in steps):
        status = {**status, "steps": [_with_artifact_count(step) for step in steps]}
    return cast("RunStatus", {"phase": RunPhase.PENDING, **status})


def _with_artifact_count(step: JsonObject) -> JsonObject:
    """A step's status, in which older versions listed the artifacts that are now counted."""
    files = step.get("artifacts")
    if not isinstance(files, list):
        return step
    return {**step, "artifacts": {"files": len(files), "bytes": sum(file["size"] for file in files)}}


def creator_of(run: JsonObject) -> str | None:
    """The user who created the run, if that is proven."""
    user = (run.get("status") or {}).get("createdBy")
    return None if user is None else str(user)


def phase_of(run: JsonObject) -> str:
    """The run's phase; a run that the operator has not reconciled yet is Pending."""
    return str((run.get("status") or {}).get("phase") or RunPhase.PENDING)


def serialize_pipeline(config: JsonObject) -> dict[str, Any]:
    """A PipelineConfig; its definition includes its name, as in a file."""
    meta = config["metadata"]
    return {
        "name": meta["name"],
        "definition": {"version": "v1alpha1", "name": meta["name"], **(config.get("spec") or {})},
        "resourceVersion": str(meta.get("resourceVersion", "")),
        "createdAt": meta.get("creationTimestamp"),
    }


def serialize_event(event: JsonObject) -> dict[str, Any]:
    """An Event, in either of the two forms that Kubernetes' components write."""
    series, about = event.get("series") or {}, event.get("involvedObject") or {}
    first, last = event_times(event)
    return {
        "type": event.get("type"),
        "reason": event.get("reason"),
        "message": str(event.get("message") or ""),
        "count": int(event.get("count") or series.get("count") or 1),
        "firstTime": first,
        "lastTime": last,
        "object": {"kind": str(about.get("kind", "")), "name": str(about.get("name", ""))},
    }


def serialize_pod(pod: JsonObject) -> dict[str, Any]:
    """A step's pod."""
    pod_labels, status = pod["metadata"].get("labels") or {}, pod.get("status") or {}
    return {
        "name": pod["metadata"]["name"],
        "step": pod_labels.get(labels.STEP),
        "run": pod_labels.get(labels.RUN),
        "phase": str(status.get("phase") or "Pending"),
        "node": (pod.get("spec") or {}).get("nodeName"),
        "startedAt": status.get("startTime"),
    }


def serialize_quota(quota: JsonObject) -> list[dict[str, Any]]:
    """The limits of a ResourceQuota, each with its usage."""
    hard = (quota.get("status") or {}).get("hard") or (quota.get("spec") or {}).get("hard") or {}
    used = (quota.get("status") or {}).get("used") or {}
    name = quota["metadata"]["name"]
    return [
        {"name": name, "resource": each, "used": str(used.get(each, "0")), "hard": str(hard[each])}
        for each in sorted(hard)
    ]
