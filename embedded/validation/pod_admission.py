"""The admission of pods by classes: of priority, of which only the two of the system exist here, and of runtimes."""

from __future__ import annotations

from embedded.api.scheme import PODS
from embedded.api.status_errors import forbidden
from embedded.types import JsonObject

_PRIORITY_CLASSES = {"system-node-critical": 2000001000, "system-cluster-critical": 2000000000}


def admit_pod(pod: JsonObject) -> None:
    """Set the priority of a new pod, in place.

    Raises:
        ApiError: 403, the class does not exist, or the pod sets a priority itself.
    """
    spec, metadata = pod.setdefault("spec", {}), pod["metadata"]
    name = metadata.get("name") or ""
    priority_class, runtime_class = spec.get("priorityClassName"), spec.get("runtimeClassName")
    if priority_class and priority_class not in _PRIORITY_CLASSES:
        raise forbidden(PODS.plural, name, "", f"no PriorityClass with name {priority_class} was found")
    priority = _PRIORITY_CLASSES.get(priority_class or "", 0)
    if (given := spec.get("priority")) not in (None, priority):
        detail = (
            f"the integer value of priority ({given}) must not be provided in pod spec; priority admission controller "
            f"computed {priority} from the given PriorityClass name"
        )
        raise forbidden(PODS.plural, name, "", detail)
    spec["priority"] = priority
    if runtime_class:
        raise forbidden(PODS.plural, name, "", f'pod rejected: RuntimeClass "{runtime_class}" not found')
    if spec.get("overhead"):
        detail = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
        raise forbidden(PODS.plural, name, "", detail)
