"""Reads and writes a pod's object for its worker: status, Events, removal, Secrets and ConfigMaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

from embedded.api.scheme import CONFIG_MAPS, PODS, SECRETS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.kubelet.pod_status import KUBELET_CONDITIONS, ContainerState, PodState, build_pod_status
from embedded.registry.event_recorder import EventRecorder
from embedded.registry.object_meta import format_time
from embedded.registry.registry import Registry

Json = dict[str, Any]


class PodStatusManager:
    """The object of one pod.

    Attributes:
        pod: the object as last seen or written.
    """

    def __init__(
        self, registry: Registry, recorder: EventRecorder, pod: Json, node: str, clock: Callable[[], datetime]
    ) -> None:
        self._registry = registry
        self._recorder = recorder
        self._clock = clock
        self._node = node
        self._bound = False
        self._written: tuple[int, Json] | None = None
        """Revision and content of the last status that was written here."""
        self._start_time = format_time(clock())
        self.pod = pod

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    def timestamp(self) -> str:
        """The current time as a metav1.Time."""
        return format_time(self._clock())

    def publish(
        self,
        states: Mapping[str, ContainerState],
        phase: str,
        *,
        initialized: bool,
        address: str,
        rejected: bool = False,
        reason: str = "",
        message: str = "",
        disruption: str = "",
    ) -> None:
        """Write the pod's status; a deleted pod is ignored."""
        conditions = {c["type"]: c for c in self.pod.get("status", {}).get("conditions") or []}
        state = PodState(
            pod=self.pod,
            states=states,
            phase=phase,
            initialized=initialized,
            address=address,
            rejected=rejected,
            now=self.timestamp(),
            start_time=self._start_time,
            reason=reason,
            message=message,
            disruption=disruption,
            conditions=conditions,
        )
        status = build_pod_status(state)
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
            self._written = int(self.pod["metadata"]["resourceVersion"]), self.pod["status"]
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def take_over(self, pod: Json) -> bool:
        """Whether a client has changed the status that was written here last; of its change, conditions of others stay.

        Args:
            pod: a state of the object, possibly an older one.
        """
        if self._written is None:
            return False
        revision, status = self._written
        if int(pod["metadata"]["resourceVersion"]) <= revision or pod["status"] == status:
            return False
        own = [each for each in status["conditions"] if each["type"] in KUBELET_CONDITIONS]
        others = [each for each in pod["status"].get("conditions") or [] if each.get("type") not in KUBELET_CONDITIONS]
        self.pod = {**pod, "status": {**status, "conditions": own + others}}
        return True

    def record_event(
        self, reason: str, message: str, *, kind: Literal["Normal", "Warning"] = "Normal", container: str = ""
    ) -> None:
        """Record an Event about the pod, or about one of its containers."""
        field_path = ""
        if container:
            inits = self.pod["spec"].get("initContainers") or []
            kind_of = "initContainers" if any(each["name"] == container for each in inits) else "containers"
            field_path = f"spec.{kind_of}{{{container}}}"
        self._recorder.event(PODS, self.pod, reason, message, event_type=kind, field_path=field_path)

    def delete_if_terminating(self) -> None:
        """Remove the object if it is being deleted; called when no process of the pod is left."""
        if "deletionTimestamp" in self.pod["metadata"]:
            preconditions = {"uid": self.pod["metadata"]["uid"]}
            with suppress(ApiError):
                self._registry.delete(
                    ObjectRef(PODS, self.namespace, self.name), grace_period=0, preconditions=preconditions
                )

    def secret(self, name: str) -> Json | None:
        return self._registry.find(ObjectRef(SECRETS, self.namespace, name))

    def config_map(self, name: str) -> Json | None:
        return self._registry.find(ObjectRef(CONFIG_MAPS, self.namespace, name))
