"""Pictures of the workbench: drives it as a user does, and writes what it shows as SVG."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from textual.pilot import Pilot
from textual.widgets import TextArea

from tools.pictures.client import FixedTimesClient
from tools.pictures.images import FOLDER
from tools.pictures.project import SANDBOX, PictureError, Project
from workbench.client.endpoint import Endpoint
from workbench.tui.app import Workbench, WorkbenchOptions
from workbench.tui.services.interfaces import OnConnectionError
from workbench.tui.services.launcher import FileLauncher

COLUMNS = 132
TIMEOUT = 120.0
"""Seconds to wait for a text on the screen."""
FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


@dataclass(frozen=True)
class Studio:
    """Where pictures of the workbench are taken."""

    endpoint: Endpoint
    project: Project

    @asynccontextmanager
    async def workbench(self, rows: int, now: datetime, run: str | None = None) -> AsyncIterator[Camera]:
        """The workbench as `c8s` opens it, with default preferences, at a time that stands still."""

        def connect(on_error: OnConnectionError) -> FixedTimesClient:
            return FixedTimesClient(self.endpoint, self.project.runs, on_error)

        def shell(run: str, step: str, container: str) -> Sequence[str]:
            return ("c8s", "shell", run, step)

        options = WorkbenchOptions(
            endpoint_label=SANDBOX,
            launcher=FileLauncher(self.project.pipeline_file),
            open_run=run,
            now=lambda: now,
            shell=shell,
        )
        app = Workbench(connect, options)
        async with app.run_test(size=(COLUMNS, rows), notifications=True) as pilot:
            yield Camera(app, pilot)


class Camera:
    """Drives one workbench and writes what it shows."""

    def __init__(self, app: Workbench, pilot: Pilot[int]) -> None:
        self._app = app
        self._pilot = pilot

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)

    async def see(self, *patterns: str) -> None:
        """Wait until every pattern matches a text on the screen. Raises PictureError if one of them does not appear."""
        try:
            async with asyncio.timeout(TIMEOUT):
                while not all(re.search(pattern, self._text()) for pattern in patterns):
                    await self._pilot.pause(0.02)
        except TimeoutError:
            raise PictureError(f"the workbench did not show all of {patterns}:\n{self._text()}") from None

    async def settle(self) -> None:
        """Wait until the screen has stopped changing."""
        before = ""
        while (now := self._text()) != before:
            before = now
            await self._pilot.pause(0.5)

    async def show_failing_line(self) -> None:
        """Put the failing line where it is for those who ask for it: at first, that depends on what came last."""
        await self.settle()
        await self.press("3", "g", "E")

    async def take(self, name: str) -> None:
        """Write the screen to docs/images, once it has stopped changing."""
        for area in self._app.screen.query(TextArea):
            area.cursor_blink = False
        await self.settle()
        picture = without_fonts(self._app.export_screenshot(title="c8s"))
        picture = with_fixed_text(picture, name)
        (FOLDER / f"{name}.svg").write_text(picture)

    def _text(self) -> str:
        return text_of(self._app.export_screenshot())


def text_of(picture: str) -> str:
    """The text of a screenshot, row by row."""
    rows: dict[float, list[tuple[float, str]]] = {}
    for attributes, text in re.findall(r"<text ([^>]*)>([^<]*)</text>", picture):
        position = {key: float(value) for key, value in re.findall(r'\b([xy])="([\d.]+)"', attributes)}
        if "y" in position:
            segment = position.get("x", 0.0), html.unescape(text).replace("\xa0", " ")
            rows.setdefault(position["y"], []).append(segment)
    return "\n".join("".join(text for _, text in sorted(row)) for _, row in sorted(rows.items()))


def without_fonts(picture: str) -> str:
    """The picture in the reader's own monospaced font; the original loads one from another host."""
    picture = re.sub(r"\s*@font-face\s*\{[^}]*\}", "", picture)
    return re.sub(r"font-family:\s*(?:Fira Code|arial)[^;]*;", f"font-family: {FONT};", picture)


def with_fixed_text(picture: str, name: str) -> str:
    """The picture with a fixed time where a step has printed how long its tests took.

    Its classes are named after the picture instead of after all that was on the screen.
    """
    picture = re.sub(r"terminal-\d+", f"c8s-{name}", picture)
    return re.sub(r"\bin(&#160;)0\.\d{3}s\b", r"in\g<1>0.001s", picture)
