"""Runs programs: output line by line, a timeout, and no process left after a cancellation.

The meaning of lines and exit codes is up to the callers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol

from kind.errors import ProgramFailedError, ProgramMissingError

_MAX_LINE_LENGTH = 16 * 1024 * 1024
_TERMINATION_GRACE = 5.0
_SHOWN_LINES = 12

Stream = Literal["out", "err"]
OnLine = Callable[[str], None]


@dataclass(frozen=True)
class CommandResult:
    """The exit code of a program, and its lines in the order of arrival."""

    command: tuple[str, ...]
    code: int
    lines: tuple[tuple[Stream, str], ...]

    @property
    def out(self) -> str:
        """The text on stdout."""
        return "\n".join(text for stream, text in self.lines if stream == "out")

    @property
    def err(self) -> str:
        """The text on stderr."""
        return "\n".join(text for stream, text in self.lines if stream == "err")

    def to_error(self, remedy: str = "") -> ProgramFailedError:
        """The error for this exit code, with the last lines of the output."""
        last_lines = [text for _, text in self.lines if text.strip()][-_SHOWN_LINES:]
        details = ":\n" + "\n".join(f"  {text[:400]}" for text in last_lines) + "\n" if last_lines else ""
        return ProgramFailedError(
            f"`{format_command(self.command)}` failed with exit code {self.code}{details}", remedy
        )


class CommandRunner(Protocol):
    """Runs a program; tests pass a fake."""

    async def __call__(
        self,
        command: Sequence[str],
        *,
        timeout: float,
        on_line: OnLine | None = None,
        stdin: Path | None = None,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> CommandResult:
        """Run a program until it ends. Raises ProgramMissingError, or ProgramFailedError after `timeout` seconds."""
        ...


def format_command(command: Sequence[str]) -> str:
    """A command line for a message, truncated to 120 characters."""
    text = " ".join(command)
    return text if len(text) <= 120 else text[:119] + "…"


async def run(
    command: Sequence[str],
    *,
    timeout: float,
    on_line: OnLine | None = None,
    stdin: Path | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> CommandResult:
    """See `CommandRunner`. The program has its own process group, which is terminated with it."""
    with contextlib.ExitStack() as files:
        source: IO[bytes] | int = (
            files.enter_context(stdin.open("rb")) if stdin is not None else asyncio.subprocess.DEVNULL
        )
        process = await _start(command, source, cwd, environment)
    lines: list[tuple[Stream, str]] = []

    async def collect(stream: Stream, reader: asyncio.StreamReader) -> None:
        async for line in reader:
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            lines.append((stream, text))
            if on_line is not None:
                on_line(text)

    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(timeout), asyncio.TaskGroup() as group:
            group.create_task(collect("out", process.stdout))
            group.create_task(collect("err", process.stderr))
            code = await process.wait()
    except TimeoutError:
        raise ProgramFailedError(
            f"`{format_command(command)}` timed out after {timeout:.0f} s",
            "Run it yourself to see what it waits for.",
        ) from None
    finally:
        await _end(process)
    return CommandResult(tuple(command), code, tuple(lines))


async def _start(
    command: Sequence[str], stdin: IO[bytes] | int, cwd: Path | None, environment: Mapping[str, str] | None
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=cwd,
            env=None if environment is None else {**os.environ, **environment},
            start_new_session=True,
            limit=_MAX_LINE_LENGTH,
        )
    except FileNotFoundError:
        raise ProgramMissingError(f"there is no program {command[0]!r} on PATH") from None
    except PermissionError:
        raise ProgramMissingError(f"the program {command[0]!r} is not executable") from None


async def _end(process: asyncio.subprocess.Process) -> None:
    """Terminate the process group with SIGTERM, then SIGKILL; an ended process is ignored."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.wait()), _TERMINATION_GRACE)
