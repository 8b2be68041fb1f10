"""Tables for `kubectl get`: columns and cells that a real server would print."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from embedded.machinery.resources import Column, ResourceType

Json = dict[str, Any]

_NAME_HELP = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow "
    "a client to request the generation of an appropriate name automatically. Name is primarily intended for "
    "creation idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)


def human_duration(seconds: float) -> str:
    """As kubectl shows ages: 5s, 3m12s, 4h, 2d."""
    whole = int(seconds)
    if whole < 0:
        return "<invalid>"
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = whole // 3600
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    return f"{days}d{hours % 24}h" if days < 8 and hours % 24 else f"{days}d"


def age(since: str | None, now: datetime) -> str:
    if not since:
        return "<unknown>"
    began = datetime.fromisoformat(since)
    return human_duration((now - began).total_seconds())


def json_path(obj: Json, path: str) -> Any:
    """The value of a simple JSONPath such as `.spec.size` or `.status.conditions[0].type`."""
    value: Any = obj
    for name, index in re.findall(r"\.([\w-]+)|\[(\d+)\]", path):
        if name:
            value = value.get(name) if isinstance(value, dict) else None
        else:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
    return value


def _job_status(job: Json, _: datetime) -> str:
    status = job.get("status", {})
    finished = [c["type"] for c in status.get("conditions") or [] if c["status"] == "True"]
    return next((kind for kind in ("Complete", "Failed", "Suspended") if kind in finished), "Running")


def _job_duration(job: Json, now: datetime) -> str:
    status = job.get("status", {})
    if not status.get("startTime"):
        return ""
    end = datetime.fromisoformat(status["completionTime"]) if status.get("completionTime") else now
    return human_duration((end - datetime.fromisoformat(status["startTime"])).total_seconds())


def _pod_ready(pod: Json, _: datetime) -> str:
    states = pod.get("status", {}).get("containerStatuses") or []
    return f"{sum(bool(s.get('ready')) for s in states)}/{len(pod['spec'].get('containers') or [])}"


def _pod_status(pod: Json, _: datetime) -> str:
    status = pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    for state in status.get("containerStatuses") or []:
        current = state.get("state", {})
        reason = current.get("waiting", {}).get("reason") or current.get("terminated", {}).get("reason")
        if reason and status.get("phase") != "Succeeded":
            return str(reason)
    phase = status.get("reason") or status.get("phase", "Pending")
    return "Completed" if phase == "Succeeded" else str(phase)


def _pod_restarts(pod: Json, _: datetime) -> int:
    return sum(s.get("restartCount", 0) for s in pod.get("status", {}).get("containerStatuses") or [])


def _node_status(node: Json, _: datetime) -> str:
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node.get("status", {}).get("conditions") or [])
    return "Ready" if ready else "NotReady"


Cell = Callable[[Json, datetime], Any]


def _path(path: str) -> Cell:
    return lambda obj, _: json_path(obj, path)


_BUILT_IN: dict[str, list[tuple[str, str, Cell]]] = {
    "pods": [
        ("Ready", "string", _pod_ready),
        ("Status", "string", _pod_status),
        ("Restarts", "integer", _pod_restarts),
    ],
    "jobs.batch": [
        ("Status", "string", _job_status),
        (
            "Completions",
            "string",
            lambda job, _: f"{job.get('status', {}).get('succeeded', 0)}/{job['spec'].get('completions', 1)}",
        ),
        ("Duration", "string", _job_duration),
    ],
    "nodes": [
        ("Status", "string", _node_status),
        ("Version", "string", _path(".status.nodeInfo.kubeletVersion")),
        ("Container-Runtime", "string", _path(".status.nodeInfo.containerRuntimeVersion")),
    ],
    "namespaces": [("Status", "string", _path(".status.phase"))],
    "secrets": [
        ("Type", "string", _path(".type")),
        ("Data", "integer", lambda secret, _: len(secret.get("data") or {})),
    ],
    "configmaps": [("Data", "integer", lambda config, _: len(config.get("data") or {}))],
    "events": [
        (
            "Last Seen",
            "string",
            lambda event, now: age(event.get("lastTimestamp") or event.get("eventTime"), now),
        ),
        ("Type", "string", _path(".type")),
        ("Reason", "string", _path(".reason")),
        (
            "Object",
            "string",
            lambda event, _: "{}/{}".format(
                str(json_path(event, ".involvedObject.kind") or "").lower(),
                json_path(event, ".involvedObject.name"),
            ),
        ),
        ("Message", "string", _path(".message")),
    ],
    "leases.coordination.k8s.io": [("Holder", "string", _path(".spec.holderIdentity"))],
}


def table(
    resource: ResourceType,
    objects: list[Json],
    list_metadata: Json,
    *,
    include: str,
    now: datetime | None = None,
) -> Json:
    """A meta.k8s.io/v1 Table. `include`: what of the object each row carries, `Metadata`, `Object` or `None`."""
    now = now or datetime.now(UTC)
    definitions, cells = _columns(resource)
    rows = []
    for obj in objects:
        row: Json = {"cells": [cell(obj, now) for cell in cells]}
        if include == "Object":
            row["object"] = obj
        elif include != "None":
            row["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": obj["metadata"],
            }
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    }


def _columns(resource: ResourceType) -> tuple[list[Json], list[Cell]]:
    definitions = [_definition("Name", "string", _NAME_HELP, name_format="name")]
    cells: list[Cell] = [_path(".metadata.name")]
    if resource.schema is not None and resource.columns:
        for column in resource.columns:
            about = column.description or f"Custom resource definition column (in JSONPath format): {column.path}"
            definitions.append(_definition(column.name, column.type, about, column.priority))
            cells.append(_custom_cell(column))
        return definitions, cells
    for name, kind, cell in _BUILT_IN.get(resource.key, []):
        definitions.append(_definition(name, kind, ""))
        cells.append(cell)
    if resource.key != "events":
        definitions.append(_definition("Age", "string", ""))
        cells.append(lambda obj, now: age(obj["metadata"].get("creationTimestamp"), now))
    return definitions, cells


def _custom_cell(column: Column) -> Cell:
    if column.type == "date":
        return lambda obj, now: age(json_path(obj, column.path), now)
    return _path(column.path)


def _definition(name: str, kind: str, about: str, priority: int = 0, name_format: str = "") -> Json:
    shown = "string" if kind == "date" else kind
    return {"name": name, "type": shown, "format": name_format, "description": about, "priority": priority}
