"""Asks the object store again and again whether it can be used, for the readiness of the process."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from controller.storage.base import ObjectStore
from controller.storage.errors import StorageError

PROBE_PREFIX = "probe/"
"""There are no objects with it: listing it costs little and shows whether the store and its bucket are there."""
PROBE_INTERVAL = 10.0
"""Seconds between two probes of a store that answers."""
RETRY_INTERVAL = 0.5
"""Seconds between two probes of a store that does not: a new cluster starts the controller while the store does."""
PROBE_TIMEOUT = 5.0
"""Seconds after which a store counts as not answering; the probe itself goes on."""

log = logging.getLogger("c8s.storage")


class StoreProbe:
    """The state of a store as of its last probe; at most one probe runs at a time.

    Args:
        report: called with the reason when the store can't be used, and with None when it can.
    """

    def __init__(
        self,
        store: ObjectStore,
        report: Callable[[str | None], None],
        *,
        interval: float = PROBE_INTERVAL,
        retry: float = RETRY_INTERVAL,
        timeout: float = PROBE_TIMEOUT,
    ) -> None:
        self._store = store
        self._report = report
        self._interval = interval
        self._retry = retry
        self._timeout = timeout
        self._reason: str | None = None

    async def run(self) -> None:
        """Probe until cancelled."""
        while True:
            reason = await self._probe_in_time()
            self._set(reason)
            await asyncio.sleep(self._interval if reason is None else self._retry)

    async def _probe_in_time(self) -> str | None:
        """Why the store can't be used, None when it can. A probe that takes too long is reported, and then waited for:
        another one would take one more of the store's threads."""
        async with asyncio.TaskGroup() as group:
            probe = group.create_task(self._probe())
            done, _ = await asyncio.wait((probe,), timeout=self._timeout)
            if not done:
                self._set(f"the object store has not answered for {self._timeout:g} s")
        return probe.result()

    async def _probe(self) -> str | None:
        try:
            async with aclosing(self._store.list(PROBE_PREFIX)) as found:  # type: ignore[type-var]
                async for _ in found:
                    break
        except StorageError as error:
            return f"the object store can't be used: {error}"
        return None

    def _set(self, reason: str | None) -> None:
        if reason is not None and self._reason is None:
            log.warning("not ready: %s", reason)
        elif reason is None and self._reason is not None:
            log.info("the object store can be used again")
        self._reason = reason
        self._report(reason)
