"""Records the workbench while it plays a run, as an asciinema recording of version 2.

The workbench runs without a terminal and draws to a list. Its time is the recording's: each picture is drawn when it is
complete, however long that takes.

Format: https://docs.asciinema.org/manual/asciicast/v2/
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot

from workbench.bundle.controller import BundleController
from workbench.bundle.errors import BundleError
from workbench.bundle.playback import Playback
from workbench.tui.app import Workbench, WorkbenchOptions
from workbench.tui.screens.run.replay import ReplayScreen
from workbench.tui.services.interfaces import ControllerApi, OnConnectionError

_FRAME = 0.125
"""Seconds between two pictures."""
_LAST_SECONDS = 2.0
"""How long the end is shown."""
_LOAD_SECONDS = 60.0
"""How long the logs on the screen may take to load."""
_START, _END = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


class _Recorder(HeadlessDriver):
    """A terminal that keeps what is written to it."""

    written: list[str]

    @property
    def is_headless(self) -> bool:
        """Whether nothing would be drawn."""
        return False

    def write(self, data: str) -> None:
        self.written.append(data)


async def record(
    bundle: BundleController,
    size: tuple[int, int],
    progress: Callable[[float, float], None] = lambda *_: None,
) -> str:
    """The recording of a bundle's run, played to its end.

    Args:
        size: columns and rows.
        progress: gets the seconds that are recorded, and how many there will be.

    Raises:
        BundleError: its times are not known, or a log can't be read in time.
    """
    playback = Playback.of(bundle.only_run, bundle.manifest.as_of)
    if playback is None:
        raise BundleError(f"{bundle.only_run.name} has no times: it can't be played")
    playback.playing = False

    def connect(_: OnConnectionError) -> AbstractAsyncContextManager[ControllerApi]:
        return bundle

    written: list[str] = []
    recorder = type("Recorder", (_Recorder,), {"written": written})
    app = Workbench(connect, WorkbenchOptions(endpoint_label="c8s", open_run=bundle.only_run.name))
    app.driver_class = recorder
    recording = _Recording(app, playback, written, progress)
    # In a task of its own: the app waits for what plays it, which has to be told that it is to stop.
    running = asyncio.create_task(app.run_async(size=size, auto_pilot=recording.play, mouse=False))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        recording.stopped = True
        await running
        raise
    if recording.problem is not None:
        raise recording.problem
    if app.crash is not None:
        raise BundleError(f"{bundle.only_run.name} can't be shown: {app.crash.summary}")
    return _render(bundle.only_run.name, playback, size, recording.events)


class _Recording:
    """Plays the run in the app, picture by picture."""

    def __init__(
        self, app: Workbench, playback: Playback, written: list[str], progress: Callable[[float, float], None]
    ) -> None:
        self._app, self._playback, self._written, self._progress = app, playback, written, progress
        self.events: list[tuple[float, str]] = []
        self.problem: Exception | None = None
        self.stopped = False
        """Set to end the recording; what there is of it is of no use."""

    async def play(self, pilot: Pilot[Any]) -> None:
        try:
            await self._play(pilot)
        except Exception as error:  # Raised by `record`, after the app has ended.
            self.problem = error
        finally:
            self._app.exit()

    async def _play(self, pilot: Pilot[Any]) -> None:
        async with asyncio.timeout(_LOAD_SECONDS):
            while not self._app.feed.runs.loaded:
                await pilot.pause(0.01)
        self._app.open_replay(self._playback, None)
        async with asyncio.timeout(_LOAD_SECONDS):
            while not isinstance(screen := self._app.screen, ReplayScreen) or not screen.is_mounted:
                await pilot.pause(0.01)
        screen.show_moment()
        total = self._playback.duration / self._playback.speed
        seconds = 0.0
        while True:
            await self._load(pilot, screen)
            # Only what the picture needs: the first one draws everything.
            self._take(seconds)
            self._progress(seconds, total)
            if self._playback.at_end or self.stopped:
                break
            seconds = round(seconds + _FRAME, 3)
            self._playback.playing = True
            self._playback.advance(_FRAME)
            self._playback.playing = False
            screen.show_moment()
        self.events.append((round(seconds + _LAST_SECONDS, 3), ""))

    async def _load(self, pilot: Pilot[Any], screen: ReplayScreen) -> None:
        """Wait until the logs that are shown are there, and drawn."""
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                while not (screen.has_drawn or self.stopped):
                    await pilot.pause(0.01)
        except TimeoutError as error:
            raise BundleError(f"the logs could not be read within {_LOAD_SECONDS:.0f} s") from error
        await pilot.pause()

    def _take(self, seconds: float) -> None:
        data = "".join(self._written)
        self._written.clear()
        if data:
            self.events.append((seconds, data))


def _render(name: str, playback: Playback, size: tuple[int, int], events: list[tuple[float, str]]) -> str:
    header = {
        "version": 2,
        "width": size[0],
        "height": size[1],
        "timestamp": int(playback.first.timestamp()),
        "title": name,
        "env": {"TERM": "xterm-256color"},
    }
    frames = [[0.0, "o", _START], *([seconds, "o", data] for seconds, data in events), [events[-1][0], "o", _END]]
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in (header, *frames))
