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
    """Modules that are imported once, when something waits for them first or `request` is called.

    Args:
        first: what is needed first, in its order.
        then: what is imported while those are used already.
    """

    def __init__(self, first: Sequence[str], then: Sequence[str] = ()) -> None:
        self._first, self._then = first, then
        self._requested = asyncio.Event()
        self._first_imported = asyncio.Event()
        self._imported = asyncio.Event()

    def request(self) -> None:
        """Begin to import the modules, if `run` is running."""
        self._requested.set()

    async def wait_for_first(self) -> None:
        """Return once those are imported that are needed first."""
        self.request()
        await self._first_imported.wait()

    async def wait(self) -> None:
        """Return once all modules are imported."""
        self.request()
        await self._imported.wait()

    async def run(self) -> None:
        """Import the modules once they are requested. Raises whatever a module raises."""
        await self._requested.wait()
        await asyncio.to_thread(_import, self._first)
        self._first_imported.set()
        await asyncio.to_thread(import_modules, self._then)
        self._imported.set()


def _import(names: Sequence[str]) -> None:
    for name in names:
        import_module(name)


def import_modules(names: Sequence[str]) -> None:
    """Import the modules, and begin garbage collection, from which they are excluded."""
    _import(names)
    begin_collections()
