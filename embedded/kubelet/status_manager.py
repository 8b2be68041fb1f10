"""A pod's object in the registry, as its worker reads and writes it: status, Events, removal, what it refers to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

from embedded.api.scheme import CONFIG_MAPS, PODS, SECRETS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.kubelet.pod_status import ContainerState, PodState, build_pod_status
from embedded.registry.event_recorder import EventRecorder
from embedded.registry.object_meta import format_time
from embedded.registry.registry import Registry

Json = dict[str, Any]


class PodStatusManager:
    """The object as last seen or written, in `pod`."""

    def __init__(
        self, registry: Registry, recorder: EventRecorder, pod: Json, node: str, clock: Callable[[], datetime]
    ) -> None:
        self._registry = registry
        self._recorder = recorder
        self._clock = clock
        self._node = node
        self._bound = False
        self._start_time = format_time(clock())
        self.pod = pod

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    def timestamp(self) -> str:
        return format_time(self._clock())

    def publish(
        self,
        states: Mapping[str, ContainerState],
        phase: str,
        *,
        initialized: bool,
        reason: str = "",
        message: str = "",
        disruption: str = "",
    ) -> None:
        """Write the pod's status; a pod that is gone needs none."""
        before = {c["type"]: c for c in self.pod.get("status", {}).get("conditions") or []}
        about = (phase, initialized, self.timestamp(), self._start_time, reason, message, disruption)
        status = build_pod_status(PodState(self.pod, states, *about, before))
        try:
            if self._bound:
                # With the uid: another pod may have taken the name.
                changed = {"metadata": {"uid": self.pod["metadata"]["uid"]}, "status": status}
                self.pod = self._registry.update(
                    ObjectRef(PODS, self.namespace, self.name), changed, subresource="status"
                ).object
            else:
                self.pod = self._registry.bind_pod(ObjectRef(PODS, self.namespace, self.name), self._node, status)
                self._bound = True
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def record_event(
        self, reason: str, message: str, *, kind: Literal["Normal", "Warning"] = "Normal", container: str = ""
    ) -> None:
        """An Event about the pod, or about one of its containers."""
        part = f"spec.containers{{{container}}}" if container else ""
        self._recorder.event(PODS, self.pod, reason, message, event_type=kind, field_path=part)

    def delete_if_terminating(self) -> None:
        """Take the object away, if it is on its way out: nothing of the pod is left."""
        if "deletionTimestamp" in self.pod["metadata"]:
            same = {"uid": self.pod["metadata"]["uid"]}
            with suppress(ApiError):
                self._registry.delete(ObjectRef(PODS, self.namespace, self.name), grace_period=0, preconditions=same)

    def secret(self, name: str) -> Json | None:
        return self._registry.find(ObjectRef(SECRETS, self.namespace, name))

    def config_map(self, name: str) -> Json | None:
        return self._registry.find(ObjectRef(CONFIG_MAPS, self.namespace, name))
