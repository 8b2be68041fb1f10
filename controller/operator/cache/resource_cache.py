"""Everything that informers report about the Jobs, pods and nodes of active runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller import labels
from controller.operator.cache.cluster_room import ClusterRoom
from controller.operator.cache.owned_resources import OwnedResources, run_key_of
from controller.operator.cache.run_state import RunState
from controller.operator.decision.pods.status import is_step_image_pull, is_suspended
from controller.run_types.keys import RunKey

if TYPE_CHECKING:
    from controller.run_types.objects import RuntimeInfo

Json = dict[str, Any]
_MAX_MESSAGE_LENGTH = 500
_REPORTED = (labels.AGENT_REPORT, labels.OPENED)


class ResourceCache:
    """The active runs and what belongs to them.

    The methods `on_*` take what informers report, and return the run that has to be reconciled because of it.

    Args:
        now: the wall clock.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._pod_create_errors: dict[str, str] = {}
        """The uid of a Job -> why its pod was not created."""
        self.states: dict[RunKey, RunState] = {}
        self._keys: dict[str, RunKey] = {}
        """The keys of the active runs, by uid."""
        self.owned = OwnedResources()
        self.room = ClusterRoom()
        self.something_early = asyncio.Event()
        """Set once a pod was made ahead of its step."""
        self.nodes: tuple[Json, ...] = ()
        self.runtime: RuntimeInfo | None = None
        """The container runtime of the nodes, as a run's status has it."""

    def on_pod(self, pod: Json, *, deleted: bool) -> RunKey | None:
        """A pod has changed or was deleted."""
        key = run_key_of(pod)
        if key is None:
            return None
        state = self.states.get(key)
        self.owned.update_pod(key, pod, deleted=deleted, keep_ended=state is not None)
        if state is not None:
            state.observed.on_pod(pod, self._now())
        return key

    def on_job(self, job: Json, *, deleted: bool, before: Json | None = None) -> RunKey | None:
        """A Job has changed or was deleted.

        Its progress shows in its pod: only the end of a Job, which may have no pod, causes a reconcile, a Job that a
        known pod refers to, a report of its agent, the opening of its gate, and its suspension.

        Args:
            before: the Job before the change, if it is known.
        """
        key = run_key_of(job)
        if key is None:
            return None
        state = self.states.get(key)
        recognized = self.owned.update_job(key, job, deleted=deleted, keep_ended=state is not None)
        if state is not None:
            state.observed.on_job(job, deleted=deleted)
        has_ended = bool((job.get("status") or {}).get("conditions"))
        has_reported = any(_annotation(job, name) != _annotation(before, name) for name in _REPORTED)
        return (
            key
            if deleted or has_ended or recognized or has_reported or self.pod_create_error(job) or is_suspended(job)
            else None
        )

    def on_create_failed(self, event: Json, *, deleted: bool) -> None:
        """An Event says that the pod of a Job could not be created."""
        reference = event.get("involvedObject") or {}
        job_uid = str(reference.get("uid", ""))
        if deleted:
            self._pod_create_errors.pop(job_uid, None)
        elif reference.get("kind") == "Job":
            self._pod_create_errors[job_uid] = str(event.get("message", ""))[:_MAX_MESSAGE_LENGTH]

    def on_image_pull(self, event: Json) -> RunKey | None:
        """An Event says that an image is being pulled."""
        found = self.owned.find_pod(event.get("involvedObject") or {}) if is_step_image_pull(event) else None
        if found is None or (state := self.states.get(found[0])) is None:
            return None
        key, pod = found
        return key if state.observed.on_image_pull(pod, self._now()) else None

    def on_nodes(self, nodes: Iterable[Json]) -> None:
        """The nodes of the cluster have changed."""
        self.nodes = tuple(sorted(nodes, key=lambda node: str(node["metadata"]["name"])))
        if self.nodes:
            node_info = (self.nodes[0].get("status") or {}).get("nodeInfo", {})
            runtime = node_info.get("containerRuntimeVersion", "")
            self.runtime = {"name": runtime, "images": "ignored" if runtime.startswith("process://") else "used"}

    def pod_create_error(self, job: Json) -> str:
        """Why the pod of a Job was not created, as the cluster reported last; empty if it did not."""
        return self._pod_create_errors.get(str(job["metadata"]["uid"]), "")

    def add(self, key: RunKey, state: RunState) -> None:
        """A run becomes active; takes over what its pods already show."""
        for pod in self.owned.pods(key, state.uid).values():
            state.observed.observe_milestones(pod, self._now())
        self.states[key] = state
        self._keys[state.uid] = key

    def key_of(self, run_uid: str) -> RunKey | None:
        """The key of an active run; None for a run that is not active, or no longer."""
        return self._keys.get(run_uid)

    def runs_with_early_pods(self) -> list[RunKey]:
        """The runs of which pods wait at their gates."""
        return [key for key, state in self.states.items() if state.observed.early_count]

    def forget_state(self, key: RunKey) -> None:
        """What is known of the run with this name is not about the one that has it now."""
        self.room.forget(key)
        state = self.states.pop(key, None)
        if state is not None:
            self._keys.pop(state.uid, None)

    def forget(self, key: RunKey) -> None:
        """The run is done, or was deleted."""
        self.forget_state(key)
        self.owned.forget(key)


def _annotation(job: Json | None, name: str) -> str:
    """The value of an annotation of a Job; empty for none."""
    annotations = ((job or {}).get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(name, ""))
