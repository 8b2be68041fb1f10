"""Imports modules in a thread after the process is ready, or as soon as something needs them.

The modules of the API and of the operator take longer to import than everything that must happen before the process is
ready. Where clients can connect before (their connections wait in the socket that the process inherits), this is not
waited for.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from importlib import import_module

from controller.runtime.garbage_collection import begin_collections

_PAUSE = 1.0
"""Seconds that the process is left to those who use what is imported, before the rest is: imports hold them up."""


class DeferredImports:
    """Modules that are imported once, from when `request` is called.

    Args:
        stages: the modules by the name of their stage, in the order in which they are imported. Those of one stage are
            used while those of the next are imported. The last stage is imported a second later than the others,
            unless it is requested.
    """

    def __init__(self, stages: Mapping[str, Sequence[str]]) -> None:
        self._stages = stages
        self._last = list(stages)[-1]
        self._requested, self._last_requested = asyncio.Event(), asyncio.Event()
        self._imported = {stage: asyncio.Event() for stage in stages}

    def request(self, *, all_at_once: bool = False) -> None:
        """Begin to import the modules, if `run` is running."""
        self._requested.set()
        if all_at_once:
            self._last_requested.set()

    async def wait(self, stage: str) -> None:
        """Return once the modules of this stage and of those before it are imported. It does not request that."""
        await self._imported[stage].wait()

    async def run(self) -> None:
        """Import the modules once they are requested, and begin garbage collection. Raises whatever a module raises."""
        await self._requested.wait()
        for stage, names in self._stages.items():
            if stage == self._last:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._last_requested.wait(), _PAUSE)
            await asyncio.to_thread(import_all, names)
            self._imported[stage].set()
        await asyncio.to_thread(begin_collections)


def import_all(names: Sequence[str]) -> None:
    """Import the modules in this order."""
    for name in names:
        import_module(name)
