"""All apps of the server: started for tabs within limits, and ended some time after their page has gone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from workbench.serve.access import Browser
from workbench.serve.app_process import AppProcess
from workbench.serve.app_session import AppSession
from workbench.serve.messages import Size

KEPT_SECONDS = 300.0
"""How long an app goes on without a page."""
MAX_OF_BROWSER = 4
"""Apps of one browser at a time."""
_STARTS, _STARTS_SECONDS = 12, 60.0
"""How many apps a browser may start within some seconds."""
_CHECK_SECONDS = 1.0


class LimitError(Exception):
    """No app was started; the message says why and what to do."""


class AppSessions:
    """The apps. Use it as a context manager: its end is that of all apps.

    Args:
        command: the command of an app; it is called with whether the app may change nothing.
        limit: apps at a time.
        now: seconds, monotonic.
        report: prints a line for the user of `c8s serve`.
    """

    def __init__(
        self,
        command: Callable[[bool], Sequence[str]],
        *,
        limit: int,
        now: Callable[[], float],
        report: Callable[[str], None],
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._command, self._limit, self._now, self._report = command, limit, now, report
        self._environment = environment
        self._apps: dict[tuple[str, str], AppSession] = {}
        self._starts: dict[str, list[float]] = {}
        self._lock = asyncio.Lock()
        self._group = asyncio.TaskGroup()
        self._reaper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._reaper = self._group.create_task(self._end_forgotten())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._reaper is not None
        self._reaper.cancel()
        await self.stop_all()
        await self._group.__aexit__(kind, error, trace)

    async def stop_all(self) -> None:
        """End all apps."""
        await asyncio.gather(*(app.stop() for app in self._apps.values()))

    def __len__(self) -> int:
        return len(self._apps)

    async def open(self, browser: Browser, tab: str, size: Size) -> AppSession:
        """The app of a tab, which is started if there is none. Raises LimitError."""
        async with self._lock:
            app = self._apps.get((browser.id, tab))
            if app is not None and not app.has_ended:
                return app
            await self._make_room(browser)
            try:
                process = await AppProcess.start(self._command(browser.read_only), self._environment, size)
            except OSError as error:
                raise LimitError(f"The workbench can't be started: {error.strerror}.") from error
            app = AppSession(process, now=self._now, report=self._report)
            self._apps[browser.id, tab] = app
            self._group.create_task(self._run((browser.id, tab), app))
            return app

    def of_browser(self, browser: Browser) -> list[AppSession]:
        """The apps of a browser's tabs."""
        return [app for (id, _), app in self._apps.items() if id == browser.id]

    async def _run(self, key: tuple[str, str], app: AppSession) -> None:
        try:
            await app.run()
        finally:
            if self._apps.get(key) is app:
                del self._apps[key]

    async def _make_room(self, browser: Browser) -> None:
        """Check the limits. An app of this browser that no page shows gives way."""
        starts = [each for each in self._starts.get(browser.id, []) if each > self._now() - _STARTS_SECONDS]
        if len(starts) >= _STARTS:
            raise LimitError("Too many workbenches were opened within a minute. Wait a little, then reload the page.")
        if len(self.of_browser(browser)) >= MAX_OF_BROWSER or len(self._apps) >= self._limit:
            await self._end_oldest_left(browser)
        if len(self.of_browser(browser)) >= MAX_OF_BROWSER:
            raise LimitError(f"This browser shows {MAX_OF_BROWSER} workbenches already. Close one of its tabs.")
        if len(self._apps) >= self._limit:
            raise LimitError(f"{self._limit} workbenches are open already; `c8s serve --limit` allows more.")
        self._starts[browser.id] = [*starts, self._now()]

    async def _end_oldest_left(self, browser: Browser) -> None:
        left = [(app.left_at, n, app) for n, app in enumerate(self.of_browser(browser)) if app.left_at is not None]
        if left:
            app = min(left)[2]
            await app.stop()
            self._apps = {key: each for key, each in self._apps.items() if each is not app}

    async def _end_forgotten(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            for app in list(self._apps.values()):
                if app.left_at is not None and app.left_at < self._now() - KEPT_SECONDS:
                    with suppress(OSError):
                        await app.stop()
