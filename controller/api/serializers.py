"""Kubernetes objects as people see them: pure functions from a PipelineRun to the `Run` of the REST API, and from
other objects to what the API tells of them. Which runs a list shows is decided in pages.py.
"""

from collections.abc import Mapping
from typing import Any

PIPELINE_LABEL = "c8s.dev/pipeline"
NUMBER_LABEL = "c8s.dev/run-number"
RUN_LABEL = "c8s.dev/run"
STEP_LABEL = "c8s.dev/step"
ATTEMPT_LABEL = "c8s.dev/attempt"

Object = Mapping[str, Any]


def serialize_run(run: Object, *, definition: bool) -> dict[str, Any]:
    """A PipelineRun as a `Run`; `definition` says whether it carries its pipeline."""
    meta, spec = run["metadata"], run.get("spec") or {}
    pipeline = spec.get("pipeline") or {}
    labels = meta.get("labels") or {}
    answer: dict[str, Any] = {
        "name": meta["name"],
        "namespace": meta["namespace"],
        "uid": meta.get("uid", ""),
        "number": run_number(run),
        "pipeline": labels.get(PIPELINE_LABEL) or pipeline.get("name"),
        "createdAt": meta.get("creationTimestamp"),
        "resourceVersion": str(meta.get("resourceVersion", "")),
        "branch": spec.get("branch"),
        "commit": spec.get("commit"),
        "event": spec.get("event"),
        "params": spec.get("params") or {},
        "priority": spec.get("priority"),
        "triggeredBy": spec.get("triggeredBy"),
        "rerunOf": spec.get("rerunOf"),
        "reuseFrom": spec.get("reuseFrom"),
        "copyOf": _copy_of(spec),
        "cancelRequested": bool(spec.get("cancel")),
        "status": {"phase": "Pending", **(run.get("status") or {})},
    }
    if definition:
        answer["definition"] = pipeline
    return answer


def _copy_of(spec: Object) -> dict[str, Any] | None:
    kept = (spec.get("source") or {}).get("kept")
    return {field: kept.get(field) for field in ("run", "step", "attempt")} if kept else None


def run_number(run: Object) -> int | None:
    """The run's number within its pipeline, from its label; None for a run that was made without this API."""
    text = str((run["metadata"].get("labels") or {}).get(NUMBER_LABEL, ""))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def phase_of(run: Object) -> str:
    """The run's phase; a run that the operator has not seen yet is Pending."""
    return str((run.get("status") or {}).get("phase") or "Pending")


def pipeline_of(run: Object) -> str | None:
    """The name of the run's pipeline, from its label."""
    name = (run["metadata"].get("labels") or {}).get(PIPELINE_LABEL)
    return None if name is None else str(name)


def serialize_pipeline(config: Object) -> dict[str, Any]:
    """A PipelineConfig as people write it: its name belongs to the definition."""
    meta = config["metadata"]
    return {
        "name": meta["name"],
        "definition": {"version": "v1alpha1", "name": meta["name"], **(config.get("spec") or {})},
        "resourceVersion": str(meta.get("resourceVersion", "")),
        "createdAt": meta.get("creationTimestamp"),
    }


def serialize_event(event: Object) -> dict[str, Any]:
    """An Event, in either of the two ways in which Kubernetes' components fill it in."""
    series, about = event.get("series") or {}, event.get("involvedObject") or {}
    first = event.get("firstTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    return {
        "type": event.get("type"),
        "reason": event.get("reason"),
        "message": str(event.get("message") or ""),
        "count": int(event.get("count") or series.get("count") or 1),
        "firstTime": first,
        "lastTime": event.get("lastTimestamp") or series.get("lastObservedTime") or first,
        "object": {"kind": str(about.get("kind", "")), "name": str(about.get("name", ""))},
    }


def serialize_pod(pod: Object) -> dict[str, Any]:
    """A step's pod."""
    labels, status = pod["metadata"].get("labels") or {}, pod.get("status") or {}
    return {
        "name": pod["metadata"]["name"],
        "step": labels.get(STEP_LABEL),
        "run": labels.get(RUN_LABEL),
        "phase": str(status.get("phase") or "Pending"),
        "node": (pod.get("spec") or {}).get("nodeName"),
        "startedAt": status.get("startTime"),
    }


def serialize_quota(quota: Object) -> list[dict[str, Any]]:
    """Each limit of a ResourceQuota with what is used of it."""
    hard = (quota.get("status") or {}).get("hard") or (quota.get("spec") or {}).get("hard") or {}
    used = (quota.get("status") or {}).get("used") or {}
    name = quota["metadata"]["name"]
    return [
        {"name": name, "resource": each, "used": str(used.get(each, "0")), "hard": str(hard[each])}
        for each in sorted(hard)
    ]
