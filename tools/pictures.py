"""Takes the pictures of the documentation from the running program: `python -m tools.pictures`.

It starts a sandbox in a temporary folder, runs sample pipelines in it, drives the workbench on that sandbox, and writes
docs/images/*.svg. Nothing of the user's own sandboxes and settings is read or changed.
"""

from __future__ import annotations

import asyncio
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from textual.pilot import Pilot

from workbench.sandbox import Endpoint, Sandboxes
from workbench.tui.app import Workbench, WorkbenchOptions
from workbench.tui.services.launcher import FileLauncher
from workbench.tui.startup import connector

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
SANDBOX = "default"
"""In a state folder of its own, see `make_project`."""
COLUMNS = 132
TIMEOUT = 60.0
"""Seconds to wait for a text on the screen."""
FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"

SAMPLE = "../{}.yaml"

Script = Callable[["Camera"], Awaitable[None]]


class Camera:
    """Drives one workbench and writes what it shows."""

    def __init__(self, app: Workbench, pilot: Pilot[int]) -> None:
        self._app = app
        self._pilot = pilot

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)

    async def see(self, *patterns: str) -> None:
        """Wait until every pattern matches a text on the screen.

        Raises:
            TimeoutError: one of them did not appear.
        """
        try:
            async with asyncio.timeout(TIMEOUT):
                while not all(re.search(pattern, self._text()) for pattern in patterns):
                    await self._pilot.pause(0.02)
        except TimeoutError:
            raise TimeoutError(f"the screen did not show all of {patterns}:\n{self._text()}") from None

    async def settle(self) -> None:
        """Wait until the screen has stopped changing."""
        before = ""
        while (now := self._text()) != before:
            before = now
            await self._pilot.pause(0.5)

    def take(self, name: str) -> None:
        """Write the screen to docs/images."""
        (IMAGES / f"{name}.svg").write_text(without_fonts(self._app.export_screenshot(title="c8s")))

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


async def of_runs(camera: Camera) -> None:
    """The list of runs, while one of them is running."""
    await camera.see("wordcount-2", "failing-1")
    running = start("run", SAMPLE.format("fan-out"), "--no-source", "--branch", "main", "--name", SANDBOX)
    await camera.see(r"fan-out-1.*\D([1-9]|1[01])/12")
    camera.take("workbench")
    await asyncio.to_thread(finish, running)


async def of_failed_run(camera: Camera) -> None:
    await camera.see("failing-1", "ZeroDivisionError")
    await camera.settle()
    camera.take("failed-run")


async def of_editor(camera: Camera) -> None:
    await camera.see("wordcount-2")
    await camera.press("e")
    await camera.see("there is no step")
    await camera.press("f8")
    await camera.settle()
    camera.take("editor")


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="c8s-") as folder:
        make_project(Path(folder))
        try:
            await asyncio.to_thread(run_samples)
            await take_pictures(Path.cwd() / ".c8s.yaml")
        finally:
            await asyncio.to_thread(c8s, "down", "--name", SANDBOX, "--delete")
            os.chdir(ROOT)


def make_project(home: Path) -> None:
    """Become a user with empty folders and a git repository, which is the current folder, and the samples beside it."""
    os.environ["HOME"] = str(home)
    for variable, name in (("STATE", "state"), ("CONFIG", "config"), ("CACHE", "cache")):
        os.environ[f"XDG_{variable}_HOME"] = str(home / f".{name}")
    os.environ.pop("NO_COLOR", None)
    os.environ["C8S_RUNTIME"] = "process"
    shutil.copytree(ROOT / "samples" / "wordcount", home / "wordcount")
    for sample in (ROOT / "samples").glob("*.yaml"):
        shutil.copy(sample, home)
    os.chdir(home / "wordcount")
    author = ("-c", "user.name=c8s", "-c", "user.email=c8s@example.org")
    for arguments in (("init", "-q", "-b", "main"), ("add", "-A"), (*author, "commit", "-qm", "Count words")):
        subprocess.run(["git", *arguments], check=True)


def run_samples() -> None:
    c8s("up", "--name", SANDBOX)
    for sample, code in (("hello", 0), ("artifacts", 0), ("services", 0), ("failing", 1)):
        c8s("run", SAMPLE.format(sample), "--no-source", "--branch", "main", "--name", SANDBOX, code=code)
    for _ in range(2):
        c8s("run", "--name", SANDBOX)


def c8s(*arguments: str, code: int = 0) -> None:
    """Run a command to its end. Raises RuntimeError if it ends with another exit code."""
    finish(start(*arguments), code)


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "workbench", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str], code: int = 0) -> None:
    output, _ = process.communicate()
    if process.returncode != code:
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}:\n{output}")


async def take_pictures(file: Path) -> None:
    IMAGES.mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(Sandboxes().attach(SANDBOX))
        await drive(endpoint, file, None, 30, of_runs)
        await drive(endpoint, file, "failing-1", 22, of_failed_run)
        file.write_text(file.read_text().replace("dependsOn: [build]", "dependsOn: [biuld]"))
        await drive(endpoint, file, None, 30, of_editor)


async def drive(endpoint: Endpoint, file: Path, run: str | None, rows: int, script: Script) -> None:
    """Open the workbench as `c8s` does, with default preferences, and let a script use it."""
    options = WorkbenchOptions(endpoint_label=SANDBOX, launcher=FileLauncher(file), open_run=run)
    app = Workbench(connector(endpoint), options)
    async with app.run_test(size=(COLUMNS, rows), notifications=True) as pilot:
        await script(Camera(app, pilot))


if __name__ == "__main__":
    asyncio.run(main())
