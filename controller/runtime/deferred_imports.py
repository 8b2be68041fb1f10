"""Imports modules in a thread after the process is ready, or as soon as something needs them.

The modules of the API and of the operator take longer to import than everything that must happen before the process is
ready. Where clients can connect before (their connections wait in the socket that the process inherits), this is not
waited for.
"""

import asyncio
from collections.abc import Sequence
from importlib import import_module

from controller.runtime.garbage_collection import begin_collections


class DeferredImports:
    """Modules that are imported once, when `request` or `wait` is called first."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._requested = asyncio.Event()
        self._imported = asyncio.Event()

    def request(self) -> None:
        """Begin to import the modules, if `run` is running."""
        self._requested.set()

    async def wait(self) -> None:
        """Return once all modules are imported."""
        self.request()
        await self._imported.wait()

    async def run(self) -> None:
        """Import the modules once they are requested. Raises whatever a module raises."""
        await self._requested.wait()
        await asyncio.to_thread(import_modules, self._names)
        self._imported.set()


def import_modules(names: Sequence[str]) -> None:
    """Import the modules, and begin garbage collection, from which they are excluded."""
    for name in names:
        import_module(name)
    begin_collections()
