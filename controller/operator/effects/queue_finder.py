"""Finds the queue of the cluster that the Jobs of a run wait in."""

from __future__ import annotations

from collections.abc import Callable

from controller.kube import NAMESPACES, KubeClient, NotFoundError
from controller.operator.workload.queueing import choose_queue, named_queue
from controller.pipeline.model import Pipeline
from controller.run_types.objects import RunObject

_KEPT_SECONDS = 30.0


class QueueFinder:
    """Reads the annotations of Namespaces, and keeps them for a while: each run asks for one.

    Args:
        setting: the queue where nothing else names one; empty for none.
        monotonic: seconds on a clock that nobody sets.
    """

    def __init__(self, client: KubeClient, setting: str, monotonic: Callable[[], float]) -> None:
        self._client = client
        self._setting = setting
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, dict[str, str]]] = {}

    async def find(self, run: RunObject, pipeline: Pipeline) -> str:
        """The queue of a run's Jobs; empty for none. Raises KubeError."""
        named = named_queue(run, pipeline)
        if named is not None:
            return named
        return choose_queue(await self._annotations(run["metadata"]["namespace"]), self._setting)

    async def _annotations(self, namespace: str) -> dict[str, str]:
        now = self._monotonic()
        known = self._known.get(namespace)
        if known is not None and now - known[0] < _KEPT_SECONDS:
            return known[1]
        try:
            metadata = (await self._client.get(NAMESPACES, namespace))["metadata"]
        except NotFoundError:
            # It is being deleted, with the run.
            metadata = {}
        found = {str(name): str(value) for name, value in (metadata.get("annotations") or {}).items()}
        self._known = {each: kept for each, kept in self._known.items() if now - kept[0] < _KEPT_SECONDS}
        self._known[namespace] = now, found
        return found
