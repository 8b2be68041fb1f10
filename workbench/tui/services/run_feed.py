"""The runs, the cluster and the connection of a controller, kept up to date for all screens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime

from workbench.client.errors import ClientError
from workbench.client.models import Cluster
from workbench.runs.run_list import RunList
from workbench.tui.services.interfaces import Connect, ControllerApi

_RETRY_SECONDS = 3.0
"""Seconds until a refused connection is retried."""


class RunFeed:
    """Calls `on_runs` after each change of a run, and `on_connection` when the connection changes."""

    def __init__(
        self,
        connect: Connect,
        on_runs: Callable[[], None],
        on_connection: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self.runs = RunList()
        self.controller: ControllerApi | None = None
        """None until the first connection."""
        self.cluster: Cluster | None = None
        self.connection_error: str | None = None
        """The error of the connection; None while it works."""
        self.lost_at: datetime | None = None
        """When the connection was lost; None while it works."""
        self._connect, self._on_runs, self._on_connection_change = connect, on_runs, on_connection
        self._now = now

    async def follow(self) -> None:
        """Follow all changes of runs until cancelled."""
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

    def restart(self) -> None:
        """Say that following has failed; the caller calls `follow` again."""
        self.controller = None
        self._set_connection_error("the workbench failed to read the runs")

    def _set_connection_error(self, error: str | None) -> None:
        self.connection_error = error
        if error is None:
            self.lost_at = None
        elif self.lost_at is None:
            self.lost_at = self._now()
        self._on_connection_change()
