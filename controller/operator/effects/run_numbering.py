"""Numbers the runs whose pipeline the operator fills in: those of deliveries, and others that only refer to it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from controller import labels
from controller.kube import AlreadyExistsError, ConflictError, KubeClient
from controller.run_numbers import highest_number, read_ledger, write_ledger
from controller.run_types.order import number_of

if TYPE_CHECKING:
    from controller.run_types.objects import RunObject

_ATTEMPTS = 20


class RunNumbering:
    """Claims numbers. A run that is tried again has the number that it claimed before, unless that was long ago.

    Args:
        list_runs: returns all runs that are known.
        clock: the wall clock, in seconds since 1970.
    """

    def __init__(
        self, client: KubeClient, list_runs: Callable[[], Iterable[RunObject]], clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._list_runs = list_runs
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def labels_of(self, run: RunObject, pipeline: str) -> dict[str, str]:
        """The labels with pipeline and number that a run is to get. Raises KubeError: call again."""
        if number_of(run) is not None:
            return {labels.PIPELINE: pipeline}
        namespace = run["metadata"]["namespace"]
        # The runs of this process do not compete for the next number; those of the API may.
        lock = self._locks.setdefault(namespace, asyncio.Lock())
        async with lock:
            number = await self._claim(namespace, run["metadata"]["uid"], pipeline)
        return {labels.PIPELINE: pipeline, labels.RUN_NUMBER: str(number)}

    async def _claim(self, namespace: str, uid: str, pipeline: str) -> int:
        key = hashlib.sha256(uid.encode()).hexdigest()[:40]
        for _ in range(_ATTEMPTS):
            ledger, now = await read_ledger(self._client, namespace), self._clock()
            claim = ledger.claim(key, now)
            if claim is not None:
                return claim.number
            known: Iterable[Any] = (run for run in self._list_runs() if run["metadata"]["namespace"] == namespace)
            number = max(ledger.last_number(pipeline), highest_number(known, pipeline)) + 1
            try:
                await write_ledger(
                    self._client, namespace, ledger, ledger.with_number(pipeline, number, now, key, pipeline)
                )
            except (AlreadyExistsError, ConflictError):
                continue
            return number
        raise ConflictError(f"the numbers of the runs in {namespace} keep being changed by others", status=409)
