"""Waits for the gates of Jobs that were made ahead of their steps, for the agents behind them.

One watch serves all agents. It begins with the first of them: most of the time there is none.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from controller import labels
from controller.kube import JOBS, Informer, KubeClient, NotFoundError
from controller.operator.cache.trim import trim_job
from controller.operator.gate import Opening, opening

Key = tuple[str, str]


class GateWaiter(Protocol):
    """Tells when a gate is opened."""

    async def wait(self, namespace: str, job: str, uid: str, seconds: float) -> Opening | None:
        """The opening of the gate of the Job with this uid; None if it stays closed for so long.

        Raises NotFoundError if that Job does not exist (any more): its gate is never opened.
        """
        ...


class GateWatch:
    """The gates of the whole cluster. `clock`: seconds on a monotonic clock."""

    def __init__(self, client: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._jobs = Informer(client, JOBS, label_selector=f"{labels.EARLY}=true", transform=trim_job)
        self._jobs.on_change(lambda _, old, new: self._notify(new or old or {}))
        self._is_needed = asyncio.Event()
        self._changed: dict[Key, asyncio.Event] = {}
        self._is_closed = False

    async def run(self) -> None:
        """Watch the Jobs, from when the first agent waits. Runs until cancelled."""
        await self._is_needed.wait()
        await self._jobs.run()

    def close(self) -> None:
        """Shutdown: everybody who waits returns."""
        self._is_closed = True
        for changed in self._changed.values():
            changed.set()

    async def wait(self, namespace: str, job: str, uid: str, seconds: float) -> Opening | None:
        """See `GateWaiter`."""
        self._is_needed.set()
        end = self._clock() + seconds
        while True:
            changed = self._changed.setdefault((namespace, job), asyncio.Event())
            found = await self._opening(namespace, job, uid)
            if found is not None or self._is_closed:
                return found
            try:
                async with asyncio.timeout(max(0.0, end - self._clock())):
                    await changed.wait()
            except TimeoutError:
                return None
            finally:
                if self._changed.get((namespace, job)) is changed:
                    del self._changed[namespace, job]

    async def _opening(self, namespace: str, name: str, uid: str) -> Opening | None:
        """The opening by the cache, or by the API server if the cache does not have the Job."""
        job = self._jobs.get(namespace, name) if self._jobs.healthy else None
        if job is None or job["metadata"]["uid"] != uid:
            job = await self._client.get(JOBS, name, namespace)
        if job["metadata"]["uid"] != uid:
            raise NotFoundError(f"the Job {name} is another one now", status=404)
        return opening(job)

    def _notify(self, job: dict[str, dict[str, str]]) -> None:
        metadata = job["metadata"]
        if (changed := self._changed.pop((metadata.get("namespace", ""), metadata["name"]), None)) is not None:
            changed.set()
