"""The columns of `kubectl get` for built-in kinds, as in Kubernetes' `pkg/printers`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from embedded.types import JsonObject

CellFunction = Callable[[JsonObject, datetime], Any]


@dataclass(frozen=True)
class PrinterColumn:
    """A column of a table; `-o wide` shows those with a priority above 0."""

    name: str
    cell: CellFunction
    type: str = "string"
    priority: int = 0


def humanize_duration(seconds: float) -> str:
    """Format a duration as kubectl does: 5s, 3m12s, 4h, 2d."""
    total = int(seconds)
    if total < 0:
        return "<invalid>"
    if total < 120:
        return f"{total}s"
    minutes = total // 60
    if minutes < 10:
        return f"{minutes}m{total % 60}s" if total % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = total // 3600
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    years = days // 365
    return f"{years}y{days % 365}d" if years < 8 and days % 365 else f"{years}y"


def format_age(since: str | None, now: datetime) -> str:
    if not since:
        return "<unknown>"
    start = datetime.fromisoformat(since)
    return humanize_duration((now - start).total_seconds())


def json_path(obj: JsonObject, path: str) -> Any:
    """The value of a simple JSONPath such as `.spec.size` or `.status.conditions[0].type`."""
    value: Any = obj
    for name, index in re.findall(r"\.([\w-]+)|\[(\d+)\]", path):
        if name:
            value = value.get(name) if isinstance(value, dict) else None
        else:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
    return value


def path_cell(path: str, empty: Any = None) -> CellFunction:
    def cell(obj: JsonObject, _: datetime) -> Any:
        found = json_path(obj, path)
        return empty if found is None else found

    return cell


def _age(obj: JsonObject, now: datetime) -> str:
    return format_age(obj["metadata"].get("creationTimestamp"), now)


def _job_status(job: JsonObject, _: datetime) -> str:
    conditions = job.get("status", {}).get("conditions") or []
    true_conditions = [condition["type"] for condition in conditions if condition["status"] == "True"]
    kinds = ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet")
    if "deletionTimestamp" in job["metadata"]:
        return "Terminating"
    return next((kind for kind in kinds if kind in true_conditions), "Running")


def _job_completions(job: JsonObject, _: datetime) -> str:
    done, spec = job.get("status", {}).get("succeeded", 0), job["spec"]
    if spec.get("completions") is not None:
        return f"{done}/{spec['completions']}"
    parallel = spec.get("parallelism", 1)
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _job_duration(job: JsonObject, now: datetime) -> str:
    status = job.get("status", {})
    if not status.get("startTime"):
        return ""
    end = datetime.fromisoformat(status["completionTime"]) if status.get("completionTime") else now
    return humanize_duration((end - datetime.fromisoformat(status["startTime"])).total_seconds())


def _selector(job: JsonObject, _: datetime) -> str:
    labels = (job["spec"].get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>"


def _container_field(field: str) -> CellFunction:
    def cell(job: JsonObject, _: datetime) -> str:
        return ",".join(str(c.get(field, "")) for c in job["spec"]["template"]["spec"].get("containers") or [])

    return cell


def _sidecar_names(pod: JsonObject) -> set[str]:
    return {c["name"] for c in pod["spec"].get("initContainers") or [] if c.get("restartPolicy") == "Always"}


def _own_container_statuses(pod: JsonObject) -> list[JsonObject]:
    """The statuses of the containers that count for readiness and restarts: containers and sidecars."""
    status, sidecars = pod.get("status", {}), _sidecar_names(pod)
    sidecar_statuses = [s for s in status.get("initContainerStatuses") or [] if s.get("name") in sidecars]
    return sidecar_statuses + list(status.get("containerStatuses") or [])


def _pod_ready(pod: JsonObject, _: datetime) -> str:
    total = len(pod["spec"].get("containers") or []) + len(_sidecar_names(pod))
    return f"{sum(bool(s.get('ready')) for s in _own_container_statuses(pod))}/{total}"


def _pod_status(pod: JsonObject, _: datetime) -> str:
    status = pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"]:
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    if init_status := _init_status(pod):
        return init_status
    reason = status.get("reason") or status.get("phase", "Pending")
    running = False
    for state in reversed(status.get("containerStatuses") or []):
        current = state.get("state", {})
        running = running or (bool(state.get("ready")) and "running" in current)
        if why := current.get("waiting", {}).get("reason"):
            reason = why
        elif (ended := current.get("terminated")) is not None:
            code, signal = ended.get("exitCode", 0), ended.get("signal")
            reason = ended.get("reason") or (f"Signal:{signal}" if signal else f"ExitCode:{code}")
    if reason == "Completed" and running:
        return "Running"
    return "Completed" if reason == "Succeeded" else str(reason)


def _init_status(pod: JsonObject) -> str:
    """The progress of init containers, as `Init:1/2` or `Init:Error`; empty when they are done."""
    states = pod.get("status", {}).get("initContainerStatuses") or []
    sidecars, total = _sidecar_names(pod), len(pod["spec"].get("initContainers") or [])
    for index, state in enumerate(states):
        current = state.get("state", {})
        ended = current.get("terminated")
        if ended is not None and not ended.get("exitCode", 0):
            continue
        if state.get("name") in sidecars and state.get("started"):
            continue
        if ended is not None:
            return f"Init:{ended.get('reason') or 'ExitCode:' + str(ended.get('exitCode'))}"
        reason = current.get("waiting", {}).get("reason")
        return f"Init:{reason}" if reason and reason != "PodInitializing" else f"Init:{index}/{total}"
    return ""


def _pod_restarts(pod: JsonObject, now: datetime) -> str:
    states = _own_container_statuses(pod)
    count = sum(s.get("restartCount", 0) for s in states)
    ends = [e for s in states if (e := json_path(s, ".lastState.terminated.finishedAt"))]
    return f"{count} ({format_age(max(ends), now)} ago)" if count and ends else str(count)


def _readiness_gates(pod: JsonObject, _: datetime) -> str:
    return str(len(pod["spec"]["readinessGates"])) if pod["spec"].get("readinessGates") else "<none>"


def _node_status(node: JsonObject, _: datetime) -> str:
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in node.get("status", {}).get("conditions") or [])
    return ("Ready" if ready else "NotReady") + (
        ",SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else ""
    )


def _node_roles(node: JsonObject, _: datetime) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or "<none>"


def _address(kind: str) -> CellFunction:
    def cell(node: JsonObject, _: datetime) -> str:
        found = node.get("status", {}).get("addresses") or []
        return next((a["address"] for a in found if a.get("type") == kind), "<none>")

    return cell


def _quota_usage(*prefixes: str) -> CellFunction:
    """The usage of a quota as `pods: 1/5, …`: of its limits, or of everything else."""

    def cell(quota: JsonObject, _: datetime) -> str:
        status = quota.get("status") or {}
        limits, used = status.get("hard") or {}, status.get("used") or {}
        shown = [name for name in sorted(limits) if name.startswith("limits.") == ("limits." in prefixes)]
        return ", ".join(f"{name}: {used.get(name, '0')}/{limits[name]}" for name in shown)

    return cell


def _role_ref(binding: JsonObject, _: datetime) -> str:
    return f"{binding['roleRef'].get('kind')}/{binding['roleRef'].get('name')}"


def _subjects(kind: str) -> CellFunction:
    def cell(binding: JsonObject, _: datetime) -> str:
        found = [s for s in binding.get("subjects") or [] if s.get("kind") == kind]
        return ", ".join(f"{s['namespace']}/{s['name']}" if s.get("namespace") else s.get("name", "") for s in found)

    return cell


def _event_object(event: JsonObject, _: datetime) -> str:
    involved = event.get("involvedObject") or {}
    return f"{str(involved.get('kind') or '').lower()}/{involved.get('name')}"


def _event_last_seen(event: JsonObject, now: datetime) -> str:
    return format_age(
        event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp"), now
    )


def _event_first_seen(event: JsonObject, now: datetime) -> str:
    return format_age(
        event.get("firstTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp"), now
    )


def _event_source(event: JsonObject, _: datetime) -> str:
    source = event.get("source") or {}
    parts = (source.get("component") or event.get("reportingComponent"), source.get("host"))
    return ", ".join(part for part in parts if part)


def _count_entries(*fields: str) -> CellFunction:
    return lambda obj, _: sum(len(obj.get(field) or {}) for field in fields)


NAME = PrinterColumn("Name", path_cell(".metadata.name"))
AGE = PrinterColumn("Age", _age)
_CREATED = PrinterColumn("Created At", path_cell(".metadata.creationTimestamp"), "date")
_BINDING = (
    NAME,
    PrinterColumn("Role", _role_ref),
    AGE,
    PrinterColumn("Users", _subjects("User"), priority=1),
    PrinterColumn("Groups", _subjects("Group"), priority=1),
    PrinterColumn("ServiceAccounts", _subjects("ServiceAccount"), priority=1),
)
COLUMNS: dict[str, tuple[PrinterColumn, ...]] = {
    "pods": (
        NAME,
        PrinterColumn("Ready", _pod_ready),
        PrinterColumn("Status", _pod_status),
        PrinterColumn("Restarts", _pod_restarts),
        AGE,
        PrinterColumn("IP", path_cell(".status.podIP", "<none>"), priority=1),
        PrinterColumn("Node", path_cell(".spec.nodeName", "<none>"), priority=1),
        PrinterColumn("Nominated Node", path_cell(".status.nominatedNodeName", "<none>"), priority=1),
        PrinterColumn("Readiness Gates", _readiness_gates, priority=1),
    ),
    "jobs.batch": (
        NAME,
        PrinterColumn("Status", _job_status),
        PrinterColumn("Completions", _job_completions),
        PrinterColumn("Duration", _job_duration),
        AGE,
        PrinterColumn("Containers", _container_field("name"), priority=1),
        PrinterColumn("Images", _container_field("image"), priority=1),
        PrinterColumn("Selector", _selector, priority=1),
    ),
    "nodes": (
        NAME,
        PrinterColumn("Status", _node_status),
        PrinterColumn("Roles", _node_roles),
        AGE,
        PrinterColumn("Version", path_cell(".status.nodeInfo.kubeletVersion", "")),
        PrinterColumn("Internal-IP", _address("InternalIP"), priority=1),
        PrinterColumn("External-IP", _address("ExternalIP"), priority=1),
        PrinterColumn("OS-Image", path_cell(".status.nodeInfo.osImage", "<unknown>"), priority=1),
        PrinterColumn("Kernel-Version", path_cell(".status.nodeInfo.kernelVersion", "<unknown>"), priority=1),
        PrinterColumn(
            "Container-Runtime", path_cell(".status.nodeInfo.containerRuntimeVersion", "<unknown>"), priority=1
        ),
    ),
    "namespaces": (NAME, PrinterColumn("Status", path_cell(".status.phase")), AGE),
    "secrets": (NAME, PrinterColumn("Type", path_cell(".type")), PrinterColumn("Data", _count_entries("data")), AGE),
    "configmaps": (NAME, PrinterColumn("Data", _count_entries("data", "binaryData")), AGE),
    "serviceaccounts": (NAME, PrinterColumn("Secrets", _count_entries("secrets")), AGE),
    "resourcequotas": (
        NAME,
        PrinterColumn("Request", _quota_usage()),
        PrinterColumn("Limit", _quota_usage("limits.")),
        AGE,
    ),
    "events": (
        PrinterColumn("Last Seen", _event_last_seen),
        PrinterColumn("Type", path_cell(".type", "")),
        PrinterColumn("Reason", path_cell(".reason", "")),
        PrinterColumn("Object", _event_object),
        PrinterColumn("Subobject", path_cell(".involvedObject.fieldPath", ""), priority=1),
        PrinterColumn("Source", _event_source, priority=1),
        PrinterColumn("Message", lambda event, _: str(event.get("message") or "").strip()),
        PrinterColumn("First Seen", _event_first_seen, priority=1),
        PrinterColumn("Count", path_cell(".count", 1), "integer", 1),
        PrinterColumn("Name", path_cell(".metadata.name"), priority=1),
    ),
    "leases.coordination.k8s.io": (NAME, PrinterColumn("Holder", path_cell(".spec.holderIdentity", "")), AGE),
    "roles.rbac.authorization.k8s.io": (NAME, _CREATED),
    "clusterroles.rbac.authorization.k8s.io": (NAME, _CREATED),
    "rolebindings.rbac.authorization.k8s.io": _BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": _BINDING,
    "customresourcedefinitions.apiextensions.k8s.io": (NAME, _CREATED),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": (
        NAME,
        PrinterColumn("Webhooks", _count_entries("webhooks"), "integer"),
        AGE,
    ),
}
