"""The defaults of Pods and Jobs, as a real server sets them."""

from __future__ import annotations

import copy

from embedded.api.quantity import canonical_quantity
from embedded.types import JsonObject

_POD_DEFAULTS = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
}
_JOB_DEFAULTS = {
    "backoffLimit": 6,
    "completionMode": "NonIndexed",
    "manualSelector": False,
    "podReplacementPolicy": "TerminatingOrFailed",
    "suspend": False,
}
_MAX_INT32 = 2**31 - 1
_QOS_RESOURCES = ("cpu", "memory")
_CONTAINER_DEFAULTS = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}


_PROBE_DEFAULTS = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_TOLERATIONS: list[JsonObject] = [
    {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for what in ("not-ready", "unreachable")
]


def set_pod_spec_defaults(spec: JsonObject) -> None:
    """Set the defaults of a pod's spec, in place."""
    for key, value in _POD_DEFAULTS.items():
        spec.setdefault(key, value)
    spec.setdefault("securityContext", {})
    for container in all_containers(spec):
        _set_container_defaults(container)
    for volume in spec.get("volumes") or []:
        if set(volume) <= {"name"}:
            volume["emptyDir"] = {}
        for source in ("secret", "configMap", "projected", "downwardAPI"):
            if isinstance(volume.get(source), dict):
                volume[source].setdefault("defaultMode", 0o644)
        for source in (volume.get("projected") or {}).get("sources") or []:
            if isinstance(token := source.get("serviceAccountToken"), dict):
                token.setdefault("expirationSeconds", 3600)


def all_containers(spec: JsonObject) -> list[JsonObject]:
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def _set_container_defaults(container: JsonObject) -> None:
    for key, value in _CONTAINER_DEFAULTS.items():
        container.setdefault(key, copy.copy(value))
    image = str(container.get("image", ""))
    latest = ":" not in image.rpartition("/")[2] or image.endswith(":latest")
    container.setdefault("imagePullPolicy", "Always" if latest and "@" not in image else "IfNotPresent")
    for variable in container.get("env") or []:
        source = (variable.get("valueFrom") or {}).get("fieldRef")
        if source is not None:
            source.setdefault("apiVersion", "v1")
    for port in container.get("ports") or []:
        port.setdefault("protocol", "TCP")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if isinstance(probe := container.get(name), dict):
            for key, number in _PROBE_DEFAULTS.items():
                probe[key] = probe.get(key) or number
            if isinstance(get := probe.get("httpGet"), dict):
                get.setdefault("path", "/")
                get.setdefault("scheme", "HTTP")
    for amounts in (container["resources"].get("limits"), container["resources"].get("requests")):
        for name, amount in (amounts or {}).items():
            amounts[name] = canonical_quantity(amount)


def set_pod_defaults(pod: JsonObject) -> None:
    spec = pod.setdefault("spec", {})
    set_pod_spec_defaults(spec)
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    known = {toleration.get("key") for toleration in spec.get("tolerations") or []}
    spec["tolerations"] = [
        *(spec.get("tolerations") or []),
        *(dict(toleration) for toleration in _TOLERATIONS if toleration["key"] not in known),
    ]
    # Limits are the default of requests.
    for container in all_containers(spec):
        resources = container["resources"]
        if resources.get("limits"):
            resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}
    status = pod.setdefault("status", {})
    status.setdefault("phase", "Pending")
    status["qosClass"] = _qos_class(all_containers(spec))


def _qos_class(containers: list[JsonObject]) -> str:
    """Guaranteed when the limits of cpu and memory of each container equal its requests; BestEffort without any."""
    requested = [(c["resources"].get("requests") or {}, c["resources"].get("limits") or {}) for c in containers]
    considered = [
        ({k: r[k] for k in _QOS_RESOURCES if k in r}, {k: m[k] for k in _QOS_RESOURCES if k in m}) for r, m in requested
    ]
    if not any(requests or limits for requests, limits in considered):
        return "BestEffort"
    guaranteed = all(requests == limits and len(limits) == len(_QOS_RESOURCES) for requests, limits in considered)
    return "Guaranteed" if guaranteed else "Burstable"


def set_job_spec_defaults(spec: JsonObject) -> None:
    """Set the defaults of a Job's spec, in place."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    set_policy_defaults(spec)
    for key, value in _JOB_DEFAULTS.items():
        spec.setdefault(key, value)
    pod_spec = spec.setdefault("template", {}).setdefault("spec", {})
    # The default of pods, Always, is not allowed for a Job; validation reports the empty value.
    pod_spec.setdefault("restartPolicy", "")
    set_pod_spec_defaults(pod_spec)


def set_policy_defaults(spec: JsonObject) -> None:
    """Set the defaults that depend on the failure policy and the completion mode, in place."""
    if spec.get("backoffLimitPerIndex") is not None:
        spec.setdefault("backoffLimit", _MAX_INT32)
    if spec.get("podFailurePolicy"):
        spec.setdefault("podReplacementPolicy", "Failed")
        for rule in spec["podFailurePolicy"].get("rules") or []:
            for pattern in rule.get("onPodConditions") or []:
                pattern.setdefault("status", "True")


def job_labels(job: JsonObject) -> JsonObject:
    """The labels that identify the pods of a Job."""
    uid, name = job["metadata"]["uid"], job["metadata"]["name"]
    return {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }


def set_job_defaults(job: JsonObject) -> None:
    """Set the defaults of a Job that has a name and a uid, in place."""
    metadata, spec = job["metadata"], job.setdefault("spec", {})
    set_job_spec_defaults(spec)
    template = spec["template"]
    uid, identity = metadata["uid"], job_labels(job)
    if not spec["manualSelector"]:
        # Labels that the client has set stay; validation refuses wrong ones.
        chosen = spec.setdefault("selector", {}).setdefault("matchLabels", {})
        chosen.setdefault("batch.kubernetes.io/controller-uid", uid)
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        for label, value in identity.items():
            labels.setdefault(label, value)
    # A Job without labels gets those of its template, as on a real server.
    if not metadata.get("labels"):
        metadata["labels"] = dict(template.get("metadata", {}).get("labels") or {})
    job.setdefault("status", {})
