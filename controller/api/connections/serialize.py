"""Serializes RepositoryConnections, and joins their deliveries with the runs that these started: pure."""

from collections.abc import Mapping
from typing import Any

from controller.api.serializers import phase_of
from controller.api.state import RunCache

JsonObject = Mapping[str, Any]

_SHOWN = ("id", "time", "event", "about", "commit", "sender", "outcome", "reason", "replayed")


def serialize_connection(connection: JsonObject, runs: RunCache) -> dict[str, Any]:
    """A RepositoryConnection as a `ConnectionAnswer`."""
    metadata, spec, status = connection["metadata"], connection["spec"], connection.get("status") or {}
    ready = next((each for each in status.get("conditions") or () if each["type"] == "Ready"), None)
    namespace = str(metadata["namespace"])
    return {
        "name": metadata["name"],
        "repository": spec["repository"],
        "provider": spec["provider"],
        "apiUrl": spec.get("apiUrl"),
        "pipelines": [each["name"] for each in spec.get("pipelines") or ()],
        "pipelineFile": spec.get("pipelineFile"),
        "forks": (spec.get("forks") or {}).get("run") or "approve",
        "statuses": spec.get("statuses") or "run",
        "webhookUrl": status.get("webhookUrl"),
        "ready": None if ready is None else ready["status"] == "True",
        "message": None if ready is None else ready.get("message"),
        "deliveries": [_serialize_delivery(each, namespace, runs) for each in status.get("deliveries") or ()],
        "createdAt": metadata.get("creationTimestamp"),
    }


def _serialize_delivery(delivery: JsonObject, namespace: str, runs: RunCache) -> dict[str, Any]:
    shown = {name: delivery[name] for name in _SHOWN if delivery.get(name)}
    return {**shown, "runs": [_serialize_run(name, runs.get(namespace, name)) for name in delivery.get("runs") or ()]}


def _serialize_run(name: str, run: JsonObject | None) -> dict[str, Any]:
    if run is None:
        return {"name": name, "phase": None}
    status = run.get("status") or {}
    return {"name": name, "phase": phase_of(run), "reason": status.get("reason"), "message": status.get("message")}
