"""What the controller tells, kept for all screens: the runs, the place, and whether there is a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from workbench.client.errors import ClientError
from workbench.client.models import Cluster
from workbench.runs.run_list import RunList
from workbench.tui.services.interfaces import Connect, ControllerApi

_RETRY_SECONDS = 3.0
"""Seconds before a controller that refused us is asked again."""


class RunFeed:
    """Calls `on_runs` after each change of a run, and `on_place` when the connection or what it leads to changed."""

    def __init__(self, connect: Connect, on_runs: Callable[[], None], on_connection: Callable[[], None]) -> None:
        self.runs = RunList()
        self.controller: ControllerApi | None = None
        """None until the connection has been made for the first time."""
        self.cluster: Cluster | None = None
        self.connection_error: str | None = None
        """What is wrong with the connection; None when it is well."""
        self._connect, self._on_runs, self._on_connection_change = connect, on_runs, on_connection

    async def follow(self) -> None:
        """Hear of every change of a run, until cancelled."""
        async with self._connect(self._set_connection_error) as controller:
            self.controller = controller
            while True:
                try:
                    self.cluster = await controller.cluster()
                    self._set_connection_error(None)
                    async with aclosing(controller.watch_runs()) as changes:
                        async for change in changes:
                            self.runs.apply(change)
                            self._on_runs()
                except ClientError as error:
                    self._set_connection_error(str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    def _set_connection_error(self, error: str | None) -> None:
        self.connection_error = error
        self._on_connection_change()
