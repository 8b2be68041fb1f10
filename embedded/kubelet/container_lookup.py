"""Chooses the container and the log that a request means, by the rules of a kubelet. Pure."""

from __future__ import annotations

from typing import Any

from embedded.api.status_errors import ApiError, bad_request
from embedded.kubelet.pod_status import TERMINAL_PHASES

Json = dict[str, Any]

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def resolve_container(pod: Json, requested: str) -> str:
    """The requested container, or the default one if none is named.

    Raises:
        ApiError: 400, there is no such container, or several and none is named.
    """
    spec, name = pod["spec"], pod["metadata"]["name"]
    names = [c["name"] for c in [*(spec.get("initContainers") or []), *spec["containers"]]]
    if requested:
        if requested not in names:
            raise bad_request(f"container {requested} is not valid for pod {name}")
        return requested
    mains = [c["name"] for c in spec["containers"]]
    if len(mains) == 1:
        return str(mains[0])
    default = (pod["metadata"].get("annotations") or {}).get(_DEFAULT_CONTAINER)
    if default in names:
        return str(default)
    inits = [c["name"] for c in spec.get("initContainers") or []]
    also = f" or one of the init containers: [{' '.join(inits)}]" if inits else ""
    raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(mains)}]{also}")


def resolve_exec_container(pod: Json, requested: str) -> str:
    """The container to run a command in.

    Raises:
        ApiError: 400, the pod has completed, there is no such container, or several and none is named.
    """
    phase = pod["status"].get("phase")
    if phase in TERMINAL_PHASES:
        raise bad_request(f"cannot exec into a container in a completed pod; current phase is {phase}")
    return resolve_container(pod, requested)


def not_running_error(container: str) -> ApiError:
    return ApiError(500, "InternalError", f'container not found ("{container}")', {})


def resolve_restart(pod: Json, container: str, *, previous: bool) -> int:
    """The restart count that the requested log belongs to.

    Raises:
        ApiError: 400, the container has not started (or, with `previous`, has not ended before).
    """
    name, restarts = pod["metadata"]["name"], 0
    state: Json = {}
    last: Json = {}
    for status in _container_statuses(pod):
        if status["name"] == container:
            state, last, restarts = status["state"], status.get("lastState") or {}, int(status["restartCount"])
    started = "waiting" not in state and bool(state)
    ended_before = "terminated" in last
    if previous:
        if not ended_before:
            raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        return restarts - 1 if started else restarts
    if started or ended_before:
        return restarts
    if not state and pod["status"].get("phase") in TERMINAL_PHASES:
        raise bad_request(f'container "{container}" in pod "{name}" is not available')
    raise waiting_error(name, container, str((state.get("waiting") or {}).get("reason") or "ContainerCreating"))


def waiting_error(pod: str, container: str, reason: str) -> Exception:
    return bad_request(f'container "{container}" in pod "{pod}" is waiting to start: {reason}')


def _container_statuses(pod: Json) -> list[Json]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
