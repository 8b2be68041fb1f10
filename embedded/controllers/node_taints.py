"""Taints of the node: that of a cordoned one, and the eviction of running pods by NoExecute taints.

As the node lifecycle and the taint eviction controller of Kubernetes. When a taint was set is known only while the
process runs: after a restart, `tolerationSeconds` count anew, as after a restart of the real controller.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from embedded.api.scheme import NODES, PODS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.api.taints import UNSCHEDULABLE_TAINT, seconds_tolerated
from embedded.controllers.delay_queue import EnqueueAfter, Key
from embedded.registry.event_recorder import EventRecorder
from embedded.registry.registry import Registry
from embedded.storage.sqlite import StoreEvent
from embedded.types import JsonObject

_EVICTED: JsonObject = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "DeletionByTaintManager",
    "message": "Taint manager: deleting due to NoExecute taint",
}
_TERMINAL_PHASES = ("Succeeded", "Failed")


class NodeTaintController:
    """Keeps the taint of `kubectl cordon`, and deletes the pods that do not tolerate a NoExecute taint.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(
        self, registry: Registry, enqueue_after: EnqueueAfter, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._enqueue_after = enqueue_after
        self._clock = clock
        self._recorder = EventRecorder(registry, "taint-eviction-controller")
        self._taints: dict[str, list[JsonObject]] = {}
        """The NoExecute taints of each node."""
        self._tainted_since: dict[str, float] = {}
        """When each pod was first seen on a node with these taints, by uid."""

    def start(self) -> None:
        for node in self._registry.list(NODES):
            self._sync_node(("", node["metadata"]["name"]))

    def observe(self, event: StoreEvent) -> None:
        if event.key.resource == NODES.key:
            self._enqueue_after(self._sync_node, ("", event.key.name), 0.0)
        elif self._taints and event.key.resource == PODS.key:
            if event.type == "DELETED":
                self._tainted_since.pop(event.object["metadata"]["uid"], None)
            else:
                self._enqueue_after(self._sync_pod, (event.key.namespace, event.key.name), 0.0)

    def _sync_node(self, key: Key) -> None:
        name = key[1]
        node = self._registry.find(ObjectRef(NODES, None, name)) or {"metadata": {}}
        spec = node.get("spec") or {}
        taints = spec.get("taints") or []
        cordon = [each for each in taints if each.get("key") == UNSCHEDULABLE_TAINT["key"]]
        if bool(spec.get("unschedulable")) != bool(cordon):
            others = [each for each in taints if each not in cordon]
            wanted = others if cordon else [*others, {**UNSCHEDULABLE_TAINT, "timeAdded": self._registry.now()}]
            self._registry.patch(ObjectRef(NODES, None, name), {"spec": {"taints": wanted or None}})
        evicting = [each for each in taints if each.get("effect") == "NoExecute"]
        if evicting == self._taints.get(name, []):
            return
        self._taints.pop(name, None)
        if evicting:
            self._taints[name] = evicting
        for pod in self._registry.list(PODS, field_selector=f"spec.nodeName={name}"):
            if not evicting:
                self._tainted_since.pop(pod["metadata"]["uid"], None)
            self._enqueue_after(self._sync_pod, (pod["metadata"]["namespace"], pod["metadata"]["name"]), 0.0)

    def _sync_pod(self, key: Key) -> None:
        """Delete a pod if its time on a tainted node is over, or look again when it will be."""
        pod = self._registry.find(ObjectRef(PODS, *key))
        taints = self._taints.get(pod["spec"].get("nodeName") or "") if pod is not None else None
        if pod is None or not taints or "deletionTimestamp" in pod["metadata"]:
            return
        if (pod.get("status") or {}).get("phase") in _TERMINAL_PHASES:
            return
        seconds = seconds_tolerated(pod["spec"].get("tolerations") or [], taints)
        if seconds is None:
            return
        left = self._tainted_since.setdefault(pod["metadata"]["uid"], self._clock()) + seconds - self._clock()
        if left > 0:
            self._enqueue_after(self._sync_pod, key, left)
        else:
            self._evict(pod)

    def _evict(self, pod: JsonObject) -> None:
        metadata = pod["metadata"]
        self._tainted_since.pop(metadata["uid"], None)
        ref = ObjectRef(PODS, metadata["namespace"], metadata["name"])
        message = f"Marking for deletion Pod {metadata['namespace']}/{metadata['name']}"
        self._recorder.event(PODS, pod, "TaintManagerEviction", message)
        condition = {**_EVICTED, "lastProbeTime": None, "lastTransitionTime": self._registry.now()}
        others = [each for each in pod["status"].get("conditions") or [] if each["type"] != condition["type"]]
        changed = {
            "metadata": {"uid": metadata["uid"]},
            "status": {**pod["status"], "conditions": [*others, condition]},
        }
        try:
            self._registry.update(ref, changed, subresource="status")
            self._registry.delete(ref, preconditions={"uid": metadata["uid"]})
        except ApiError as error:
            if error.code not in (404, 409):
                raise
