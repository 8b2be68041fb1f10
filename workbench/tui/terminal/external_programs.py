"""Runs other programs in place of the workbench, and opens files with the desktop or a pager."""

from __future__ import annotations

import asyncio
import atexit
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from textual.app import App, SuspendNotSupported

from workbench.text.sanitize import sanitize_label
from workbench.tui.terminal.served import NO_PROGRAM, give_file, is_served

_BINARY_CHECK_BYTES = 8_192


def run_external(app: App[int], command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a command on the whole terminal; the workbench waits for its end."""
    try:
        with app.suspend():
            code = subprocess.run(list(command), env=environment, check=False).returncode
    except SuspendNotSupported:
        app.notify(cannot_suspend(), severity="warning")
        return
    except OSError as error:
        app.notify(sanitize_label(str(error), 300), title="Not started", severity="error", markup=False)
        return
    if code:
        app.notify(
            f"{sanitize_label(Path(command[0]).name, 40)} exited with code {code}.", severity="warning", markup=False
        )


def cannot_suspend() -> str:
    """Why no other program can be shown here."""
    return NO_PROGRAM if is_served() else "This terminal can't run another program in place of the workbench."


def edit_text(command: Sequence[str], text: str, name: str) -> str:
    """Edit a text with an external editor, in a temporary file with this name; the new text.

    Raises:
        OSError: the editor can't be started.
        subprocess.SubprocessError: the editor failed.
        ValueError: the file is no longer UTF-8 text.
    """
    with tempfile.TemporaryDirectory(prefix="c8s-") as folder:
        file = Path(folder) / name
        file.write_text(text, encoding="utf-8")
        subprocess.run([*command, str(file)], check=True)
        return file.read_text(encoding="utf-8").replace("\r\n", "\n")


@lru_cache(maxsize=1)
def temporary_folder() -> Path:
    """A private folder for files that are opened but not saved; deleted when this process exits."""
    folder = Path(tempfile.mkdtemp(prefix="c8s-opened-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def viewer_command(
    environment: Mapping[str, str],
    platform: str = sys.platform,
    which: Callable[[str], str | None] = shutil.which,
) -> tuple[list[str], bool]:
    """The command that shows a file, and whether it takes the terminal for that."""
    if platform == "darwin" and "SSH_CONNECTION" not in environment:
        return ["open"], False
    if ("DISPLAY" in environment or "WAYLAND_DISPLAY" in environment) and which("xdg-open"):
        return ["xdg-open"], False
    pager = shlex.split(environment.get("PAGER", "")) or ["less"]
    return (pager if which(pager[0]) else ["more"]), True


def is_binary(path: Path) -> bool:
    """Whether the beginning of a file is not text, so that a pager can't show it."""
    with path.open("rb") as file:
        start = file.read(_BINARY_CHECK_BYTES)
    try:
        start.decode()
    except UnicodeDecodeError as error:
        # A character may be cut at the end of what was read.
        return error.start < len(start) - 3
    return b"\0" in start


async def open_file(app: App[int], path: Path) -> None:
    """Open an untrusted file; a pager shows its control characters and runs no programs. A browser saves it."""
    if is_served():
        give_file(app, path, path.name)
        return
    command, takes_terminal = viewer_command(os.environ)
    if takes_terminal and await asyncio.to_thread(is_binary, path):
        app.notify(
            sanitize_label(f"{path.name} is not a text ({path.stat().st_size:,} bytes). Save it to open it.", 300),
            markup=False,
        )
        return
    if takes_terminal:
        quiet = {name: value for name, value in os.environ.items() if name not in ("LESS", "LESSOPEN", "LESSCLOSE")}
        run_external(app, [*command, str(path)], quiet | {"LESSSECURE": "1"})
        return
    try:
        process = await asyncio.create_subprocess_exec(
            *command, str(path), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        async with asyncio.timeout(10):
            code = await process.wait()
    except TimeoutError:
        code = 0  # It stays for as long as the file is shown.
    except OSError as error:
        app.notify(sanitize_label(str(error), 300), title="Not opened", severity="error", markup=False)
        return
    said = f"{command[0]} could not open {path.name}: exit code {code}." if code else f"Opened {path.name}."
    app.notify(sanitize_label(said, 300), severity="warning" if code else "information", markup=False)
