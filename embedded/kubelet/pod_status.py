"""Builds a pod's status as a kubelet writes it, from the states of its containers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from embedded.kubelet.config.downward_api import LOOPBACK
from embedded.types import copy_json

Json = dict[str, Any]

TERMINAL_PHASES = ("Succeeded", "Failed")

KUBELET_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
"""Types of the conditions that only a kubelet writes."""

_NODE_LOST_MESSAGE = "the sandbox was killed while this pod ran: its processes were ended and its result is unknown"


@dataclass(frozen=True)
class Terminated:
    """How a container's process ended. Times are metav1.Time strings."""

    exit_code: int
    reason: str
    started_at: str
    finished_at: str
    message: str = ""
    container_id: str = ""

    def to_json(self) -> Json:
        state: Json = {"exitCode": self.exit_code, "reason": self.reason}
        if self.exit_code > 128 and self.reason == "Error":
            state["signal"] = self.exit_code - 128
        if self.message:
            state["message"] = self.message
        state |= {"startedAt": self.started_at, "finishedAt": self.finished_at}
        return {**state, "containerID": self.container_id} if self.container_id else state


@dataclass
class ContainerState:
    """The state of one container; `to_json` gives exactly one of waiting, running and terminated."""

    waiting: tuple[str, str] = ("ContainerCreating", "")
    running_since: str | None = None
    terminated: Terminated | None = None
    last: Terminated | None = None
    restarts: int = 0
    container_id: str = ""
    image_id: str = ""
    started: bool = False
    """It runs and has passed its postStart hook and startup probe, if any."""
    ready: bool = False
    """It has started and its readiness probe, if any, passes."""

    def to_json(self) -> Json:
        if self.terminated is not None:
            return {"terminated": self.terminated.to_json()}
        if self.running_since is not None:
            return {"running": {"startedAt": self.running_since}}
        reason, message = self.waiting
        return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


@dataclass(frozen=True)
class PodState:
    """Everything that a pod's status is computed from."""

    pod: Json
    states: Mapping[str, ContainerState]
    phase: str
    initialized: bool
    now: str
    start_time: str
    address: str = LOOPBACK
    """The pod's IP address; empty while it has none."""
    rejected: bool = False
    """Whether the node can't run the pod: it has no container statuses then."""
    reason: str = ""
    message: str = ""
    disruption: str = ""
    """The reason of the DisruptionTarget condition; empty when the pod was not disrupted."""
    conditions: Mapping[str, Json] = field(default_factory=dict)
    """The conditions of the previous status, by type: transition times stay while their status does."""


def is_sidecar(container: Json) -> bool:
    return container.get("restartPolicy") == "Always"


def build_pod_status(pod_state: PodState) -> Json:
    spec = pod_state.pod["spec"]
    status: Json = {"phase": pod_state.phase, "conditions": _conditions(pod_state)}
    if pod_state.reason:
        status["reason"] = pod_state.reason
    if pod_state.message:
        status["message"] = pod_state.message
    status |= {"hostIP": LOOPBACK, "hostIPs": [{"ip": LOOPBACK}]}
    if pod_state.address:
        status |= {"podIP": pod_state.address, "podIPs": [{"ip": pod_state.address}]}
    status["observedGeneration"] = pod_state.pod["metadata"].get("generation", 1)
    status["startTime"] = pod_state.start_time
    if not pod_state.rejected and spec.get("initContainers"):
        status["initContainerStatuses"] = [
            _container_status(container, pod_state.states[container["name"]], init=True)
            for container in spec["initContainers"]
        ]
    if not pod_state.rejected:
        status["containerStatuses"] = [
            _container_status(container, pod_state.states[container["name"]], init=False)
            for container in spec["containers"]
        ]
    status["resources"] = {}
    status["qosClass"] = pod_state.pod["status"].get("qosClass", "BestEffort")
    return status


def _container_status(container: Json, state: ContainerState, *, init: bool) -> Json:
    running = state.terminated is None and state.running_since is not None
    plain_init = init and not is_sidecar(container)
    done = state.terminated is not None and state.terminated.exit_code == 0
    status: Json = {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": state.image_id,
        "ready": done if plain_init else running and state.ready,
        "started": running and (state.started or plain_init),
        "restartCount": state.restarts,
        "state": state.to_json(),
        "lastState": {"terminated": state.last.to_json()} if state.last else {},
    }
    if state.container_id:
        status["containerID"] = state.container_id
        status["resources"] = container.get("resources") or {}
        if requests := status["resources"].get("requests"):
            status["allocatedResources"] = requests
    if container.get("volumeMounts"):
        status["volumeMounts"] = [
            {"name": mount["name"], "mountPath": mount["mountPath"]} for mount in container["volumeMounts"]
        ]
    return status


def _conditions(pod_state: PodState) -> list[Json]:
    over = pod_state.phase in TERMINAL_PHASES
    ready = _ready_condition(pod_state, over)
    conditions = {
        "PodReadyToStartContainers": ("False" if over else "True", "", ""),
        "Initialized": _initialized_condition(pod_state),
        "Ready": ready,
        "ContainersReady": ready,
        "PodScheduled": ("True", "", ""),
    }
    if pod_state.disruption:
        conditions["DisruptionTarget"] = ("True", pod_state.disruption, pod_state.message)
    own = [_condition(pod_state, kind, *values) for kind, values in conditions.items()]
    # Other components have conditions of their own, as for readiness gates.
    return own + [found for kind, found in pod_state.conditions.items() if kind not in conditions]


def _ready_condition(pod_state: PodState, over: bool) -> tuple[str, str, str]:
    """(status, reason, message) of Ready."""
    if over:
        return "False", "PodCompleted" if pod_state.phase == "Succeeded" else "PodFailed", ""
    states = pod_state.states
    spec = pod_state.pod["spec"]
    serving = [*(c for c in spec.get("initContainers") or [] if is_sidecar(c)), *spec["containers"]]
    waiting = [c["name"] for c in serving if not (_is_running(states[c["name"]]) and states[c["name"]].ready)]
    if pod_state.initialized and not waiting:
        return "True", "", ""
    return "False", "ContainersNotReady", f"containers with unready status: [{' '.join(waiting)}]"


def _initialized_condition(pod_state: PodState) -> tuple[str, str, str]:
    if pod_state.initialized:
        return "True", "PodCompleted" if pod_state.phase == "Succeeded" else "", ""
    pending = [
        container["name"]
        for container in pod_state.pod["spec"].get("initContainers") or []
        if not (_is_running if is_sidecar(container) else _succeeded)(pod_state.states[container["name"]])
    ]
    return "False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(pending)}]"


def _is_running(state: ContainerState) -> bool:
    return state.started and state.running_since is not None and state.terminated is None


def _succeeded(state: ContainerState) -> bool:
    return state.terminated is not None and state.terminated.exit_code == 0


def _condition(pod_state: PodState, kind: str, status: str, reason: str, message: str) -> Json:
    before = pod_state.conditions.get(kind)
    since = pod_state.now
    if before and before.get("status") == status:
        since = before.get("lastTransitionTime") or since
    condition: Json = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": since}
    condition["observedGeneration"] = pod_state.pod["metadata"].get("generation", 1)
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def node_lost_status(status: Json, now: str) -> Json:
    """The final status of a pod whose processes were lost with the node: Failed, so that a Job counts it."""
    new = copy_json(status) | {"phase": "Failed", "reason": "NodeLost", "message": _NODE_LOST_MESSAGE}
    for container in [*(new.get("containerStatuses") or []), *(new.get("initContainerStatuses") or [])]:
        running = container["state"].get("running")
        if running is not None:
            ended = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": _NODE_LOST_MESSAGE}
            times = {"startedAt": running["startedAt"], "finishedAt": now}
            container |= {"state": {"terminated": ended | times}, "ready": False, "started": False}
    for condition in new.get("conditions") or []:
        if condition["type"] in ("Ready", "ContainersReady") and condition["status"] == "True":
            condition |= {"status": "False", "reason": "PodFailed", "lastTransitionTime": now}
    new["conditions"] = [
        *(new.get("conditions") or []),
        disruption_condition("DeletionByPodGC", _NODE_LOST_MESSAGE, now),
    ]
    return new


def disruption_condition(reason: str, message: str, now: str) -> Json:
    """The condition by which a Job's pod failure policy recognizes a failure that the pod did not cause."""
    condition: Json = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
    return condition | {"lastProbeTime": None, "lastTransitionTime": now}
