"""A pod's status as a kubelet writes it, from what is known of its containers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from embedded.kubelet.config.downward_api import LOOPBACK

Json = dict[str, Any]


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
    """What is known of one container. Exactly one of waiting, running and terminated is told."""

    waiting: tuple[str, str] = ("ContainerCreating", "")
    running_since: str | None = None
    terminated: Terminated | None = None
    last: Terminated | None = None
    restarts: int = 0
    container_id: str = ""
    started: bool = False
    """Running, and past its postStart hook and its startup probe if it has them."""
    ready: bool = False
    """Started, and ready as its readiness probe says, if it has one."""

    def to_json(self) -> Json:
        if self.terminated is not None:
            return {"terminated": self.terminated.to_json()}
        if self.running_since is not None:
            return {"running": {"startedAt": self.running_since}}
        reason, message = self.waiting
        return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


@dataclass(frozen=True)
class PodState:
    """All that a status is made of."""

    pod: Json
    states: Mapping[str, ContainerState]
    phase: str
    initialized: bool
    now: str
    start_time: str
    reason: str = ""
    message: str = ""
    disruption: str = ""
    """Why the pod was ended through no fault of its own; empty when it was not."""
    conditions: Mapping[str, Json] = field(default_factory=dict)
    """The conditions of the status before, by type: their times stay while they do."""


def is_sidecar(container: Json) -> bool:
    return container.get("restartPolicy") == "Always"


def build_pod_status(state: PodState) -> Json:
    spec = state.pod["spec"]
    status: Json = {"phase": state.phase, "conditions": _conditions(state)}
    if state.reason:
        status["reason"] = state.reason
    if state.message:
        status["message"] = state.message
    status |= {"hostIP": LOOPBACK, "hostIPs": [{"ip": LOOPBACK}], "podIP": LOOPBACK, "podIPs": [{"ip": LOOPBACK}]}
    status["observedGeneration"] = state.pod["metadata"].get("generation", 1)
    status["startTime"] = state.start_time
    if spec.get("initContainers"):
        status["initContainerStatuses"] = [
            _container_status(container, state.states[container["name"]], init=True)
            for container in spec["initContainers"]
        ]
    status["containerStatuses"] = [
        _container_status(container, state.states[container["name"]], init=False) for container in spec["containers"]
    ]
    status["resources"] = {}
    status["qosClass"] = state.pod["status"].get("qosClass", "BestEffort")
    return status


def _container_status(container: Json, state: ContainerState, *, init: bool) -> Json:
    running = state.terminated is None and state.running_since is not None
    plain_init = init and not is_sidecar(container)
    done = state.terminated is not None and state.terminated.exit_code == 0
    status: Json = {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
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


def _conditions(picture: PodState) -> list[Json]:
    over = picture.phase in ("Succeeded", "Failed")
    ready = _ready_condition(picture, over)
    wanted = {
        "PodReadyToStartContainers": ("False" if over else "True", "", ""),
        "Initialized": _initialized_condition(picture),
        "Ready": ready,
        "ContainersReady": ready,
        "PodScheduled": ("True", "", ""),
    }
    if picture.disruption:
        wanted["DisruptionTarget"] = ("True", picture.disruption, picture.message)
    return [_condition(picture, kind, *values) for kind, values in wanted.items()]


def _ready_condition(picture: PodState, over: bool) -> tuple[str, str, str]:
    """(status, reason, message) of Ready."""
    if over:
        return "False", "PodCompleted" if picture.phase == "Succeeded" else "PodFailed", ""
    states = picture.states
    spec = picture.pod["spec"]
    serving = [*(c for c in spec.get("initContainers") or [] if is_sidecar(c)), *spec["containers"]]
    waiting = [c["name"] for c in serving if not (_is_running(states[c["name"]]) and states[c["name"]].ready)]
    if picture.initialized and not waiting:
        return "True", "", ""
    return "False", "ContainersNotReady", f"containers with unready status: [{' '.join(waiting)}]"


def _initialized_condition(picture: PodState) -> tuple[str, str, str]:
    if picture.initialized:
        return "True", "PodCompleted" if picture.phase == "Succeeded" else "", ""
    pending = [
        container["name"]
        for container in picture.pod["spec"].get("initContainers") or []
        if not (_is_running if is_sidecar(container) else _succeeded)(picture.states[container["name"]])
    ]
    return "False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(pending)}]"


def _is_running(state: ContainerState) -> bool:
    return state.started and state.running_since is not None and state.terminated is None


def _succeeded(state: ContainerState) -> bool:
    return state.terminated is not None and state.terminated.exit_code == 0


def _condition(picture: PodState, kind: str, status: str, reason: str, message: str) -> Json:
    before = picture.conditions.get(kind)
    since = before["lastTransitionTime"] if before and before["status"] == status else picture.now
    condition: Json = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": since}
    condition["observedGeneration"] = picture.pod["metadata"].get("generation", 1)
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition
