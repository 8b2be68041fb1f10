"""Jobs and Pods on their way in: the defaults a real server fills in, and what it refuses."""

from __future__ import annotations

import copy
from typing import Any

from embedded.machinery import job_validation
from embedded.machinery.errors import Cause
from embedded.machinery.names import label_causes

Json = dict[str, Any]

_POD_DEFAULTS = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
}
_CONTAINER_DEFAULTS = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}


def default_pod_spec(spec: Json) -> None:
    """Fill in a pod's spec, in place."""
    for key, value in _POD_DEFAULTS.items():
        spec.setdefault(key, value)
    spec.setdefault("securityContext", {})
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        if not isinstance(container, dict):
            continue
        for key, value in _CONTAINER_DEFAULTS.items():
            container.setdefault(key, copy.copy(value))
        image = str(container.get("image", ""))
        latest = ":" not in image.rpartition("/")[2] or image.endswith(":latest")
        container.setdefault("imagePullPolicy", "Always" if latest and "@" not in image else "IfNotPresent")
        for variable in container.get("env") or []:
            source = (variable.get("valueFrom") or {}).get("fieldRef")
            if source is not None:
                source.setdefault("apiVersion", "v1")
    for volume in spec.get("volumes") or []:
        for source in ("secret", "configMap"):
            if isinstance(volume.get(source), dict):
                volume[source].setdefault("defaultMode", 0o644)


def default_pod(pod: Json) -> None:
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    spec.setdefault("enableServiceLinks", True)
    status = pod.setdefault("status", {})
    status.setdefault("phase", "Pending")
    status.setdefault("qosClass", "BestEffort")
    # What the resources say is a lower bound on what is asked for.
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        resources = container.get("resources") or {}
        if resources.get("limits"):
            resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}


def default_job(job: Json) -> None:
    """Fill in a Job that has its name and uid, in place."""
    metadata, spec = job["metadata"], job.setdefault("spec", {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    job_validation.default(spec)
    spec.setdefault("backoffLimit", 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "TerminatingOrFailed")
    spec.setdefault("suspend", False)
    template = spec.setdefault("template", {})
    pod_spec = template.setdefault("spec", {})
    if "restartPolicy" not in pod_spec:
        # A real server's default (Always) is one that a Job can't have; validation says so.
        pod_spec["restartPolicy"] = ""
    default_pod_spec(pod_spec)
    uid, name = metadata["uid"], metadata["name"]
    identity = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    if not spec["manualSelector"]:
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels.update(identity)
    # A Job without labels takes over those of its template, as a real server has it.
    if not metadata.get("labels"):
        metadata["labels"] = dict(template.get("metadata", {}).get("labels") or {})
    job.setdefault("status", {})


def job_causes(job: Json) -> list[Cause]:
    spec = job["spec"]
    template = spec["template"]
    causes = label_causes(template.get("metadata", {}).get("labels") or {}, "spec.template.labels")
    causes += pod_spec_causes(template["spec"], "spec.template.spec")
    policy = template["spec"]["restartPolicy"]
    if policy == "":
        message = 'Required value: valid values: "OnFailure", "Never"'
        causes.append(Cause("FieldValueRequired", "spec.template.spec.restartPolicy", message))
    elif policy not in ("OnFailure", "Never"):
        message = f'Unsupported value: "{policy}": supported values: "OnFailure", "Never"'
        causes.append(Cause("FieldValueNotSupported", "spec.template.spec.restartPolicy", message))
    causes += job_validation.causes(spec)
    return causes


def pod_spec_causes(spec: Json, at: str = "spec") -> list[Cause]:
    causes: list[Cause] = []
    if not spec.get("containers"):
        causes.append(Cause("FieldValueRequired", f"{at}.containers", "Required value"))
    names: set[str] = set()
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    for where in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(where) or []):
            field = f"{at}.{where}[{index}]"
            name = container.get("name")
            if not name:
                causes.append(Cause("FieldValueRequired", f"{field}.name", "Required value"))
            elif name in names:
                causes.append(Cause("FieldValueDuplicate", f"{field}.name", f'Duplicate value: "{name}"'))
            names.add(str(name))
            for number, mount in enumerate(container.get("volumeMounts") or []):
                if mount.get("name") not in volumes:
                    message = f'Not found: "{mount.get("name")}"'
                    causes.append(Cause("FieldValueNotFound", f"{field}.volumeMounts[{number}].name", message))
    return causes
