"""Copies text to the clipboard of the user's machine: with a program, else through the terminal (OSC 52)."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping

from workbench.tui.terminal.served import is_served

_TIMEOUT = 2.0
_OSC52_LIMIT = 74_994
"""Encoded bytes that terminals accept in one sequence."""


def clipboard_commands(environment: Mapping[str, str], platform: str = sys.platform) -> list[list[str]]:
    """The commands that may set the clipboard here, best first.

    Over ssh, the programs of the machine at the other end would set a clipboard that nobody sees;
    tmux hands the text on to the terminal that it is shown on. A page sets the clipboard of its browser.
    """
    found: list[list[str]] = []
    if is_served(environment):
        return found
    if "SSH_CONNECTION" not in environment:
        if platform == "darwin":
            found.append(["pbcopy"])
        if "WAYLAND_DISPLAY" in environment:
            found.append(["wl-copy"])
        if "DISPLAY" in environment:
            found += [["xclip", "-selection", "clipboard"], ["xsel", "--clipboard", "--input"]]
        if "WSL_DISTRO_NAME" in environment:
            found.append(["clip.exe"])
    if "TMUX" in environment:
        found.append(["tmux", "load-buffer", "-w", "-"])
    return found


async def copy(text: str, osc52: Callable[[str], None], environment: Mapping[str, str] = os.environ) -> str | None:
    """Copy `text` and return None, or the reason why it can't be copied. `osc52` sends it to the terminal."""
    for command in clipboard_commands(environment):
        if shutil.which(command[0]) is not None and await _run_command(command, text):
            return None
    if len(b64encode(text.encode())) > _OSC52_LIMIT:
        return "The text is too large for the terminal's clipboard; save the log and copy the file's path instead."
    osc52(text)
    return None


async def _run_command(command: list[str], text: str) -> bool:
    quiet = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet
        )
    except OSError:
        return False
    try:
        async with asyncio.timeout(_TIMEOUT):
            await process.communicate(text.encode(errors="replace"))
    except (TimeoutError, BrokenPipeError, ConnectionResetError):
        if process.returncode is None:
            process.kill()
            await process.wait()
        return False
    return process.returncode == 0
