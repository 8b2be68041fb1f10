"""One process of a container: started in a session of its own, waited for without a thread, ended with all it made.

Its output is read by the event loop in bounded pieces, one per round, so that
a program that floods its output holds up nobody; it is held up itself when
the disk is slower than it. This module knows nothing of pods.

On macOS there is no pidfd: a thread per process waits for its end. What a
process leaves behind outside its process group is found on Linux only (see
`embedded.kubelet.container.orphans`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded.kubelet.container import orphans
from embedded.kubelet.container.cgroups import ContainerCgroup
from embedded.kubelet.container.orphans import OWNER_ENV, ProcessOwnership
from embedded.kubelet.container.process_exit import ProcessExit

_READ = 256 * 1024
_LAST_READS = 64
_NOT_FOUND, _NOT_STARTED = 127, 128


class StartError(Exception):
    """A command can't be started; the message says which, why, and where it was looked for.

    `exit_code` is 127 for a command that does not exist, and 128 for one that can't be started.
    """

    def __init__(self, message: str, exit_code: int = _NOT_STARTED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Command:
    """What to run. `mark` names the container (`uid/name`), `folder` is its pod's, `room` its cgroups if it has any."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: str
    owner: str
    folder: str = ""
    cgroup: ContainerCgroup | None = None


class Process:
    """A started process. `sink` gets what it writes to stdout and stderr, in the order of arrival.

    Raises:
        StartError: it can't be started.
    """

    def __init__(self, command: Command, sink: Callable[[bytes], None]) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._drained = False
        executable = resolve_executable(command.argv[0], command.environment.get("PATH"), command.cwd)
        try:
            self._output, write_end = os.pipe()
        except OSError as error:
            raise StartError(start_error_message(command, executable, error)) from error
        try:
            os.set_blocking(self._output, False)
            argv, executable = join_cgroup(command, executable)
            self._popen = subprocess.Popen(
                argv,
                executable=executable,
                env=process_environment(command),
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            os.close(self._output)
            raise StartError(start_error_message(command, executable, error)) from error
        finally:
            os.close(write_end)
        pipe = f"pipe:[{os.fstat(self._output).st_ino}]"
        self._ownership = ProcessOwnership(command.owner, pipe, command.folder, self._popen.pid)
        self._loop.add_reader(self._output, self._read)
        self._exit = ProcessExit(self._popen, self._kill_group)

    @property
    def pid(self) -> int:
        return self._popen.pid

    async def wait(self) -> int:
        """The exit code (128 + signal when it was killed), once nothing of it is left and its output is read.

        When it is cancelled, the process is killed first.
        """
        try:
            code = await asyncio.shield(self._exit.code)
        except asyncio.CancelledError:
            self.kill()
            await asyncio.shield(self._exit.code)
            await orphans.end_detached(self._ownership)
            self._drain()
            raise
        await orphans.end_detached(self._ownership)
        self._drain()
        return code

    def terminate(self) -> None:
        """SIGTERM to the first process alone, as a container runtime does: passing it on is that process's task."""
        if not self._exit.code.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._popen.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the first process, its group, and what has detached itself from it."""
        if not self._exit.code.done():
            self._kill_group()
            orphans.kill_detached(self._ownership)

    def _kill_group(self) -> None:
        # macOS answers EPERM for a group that only a zombie is left of.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def _read(self) -> bool:
        """One piece of output; False when there is no more for now, or for ever."""
        try:
            data = os.read(self._output, _READ)
        except BlockingIOError:
            return False
        if data:
            self._sink(data)
        else:
            self._close_output()
        return bool(data)

    def _drain(self) -> None:
        """Read what is left in the pipe: all writers are dead, so that is at most what a pipe holds."""
        for _ in range(_LAST_READS):
            if self._drained or not self._read():
                break
        # Not at its end: somebody we could not find holds it. His output is not the container's any more.
        self._close_output()

    def _close_output(self) -> None:
        if not self._drained:
            self._drained = True
            self._loop.remove_reader(self._output)
            os.close(self._output)


def join_cgroup(command: Command, executable: str) -> tuple[Sequence[str], str]:
    """(words, program) to start, which first enters the container's cgroups if it has any."""
    if command.cgroup is None:
        return command.argv, executable
    argv = command.cgroup.join_command([executable, *command.argv[1:]])
    return argv, argv[0]


def process_environment(command: Command) -> dict[str, str]:
    """Its environment. The mark is put in last: no spec can forge or clear it for the first process."""
    return {**command.environment, OWNER_ENV: _nested_owner(command.owner)}


def _nested_owner(mark: str) -> str:
    """The mark, behind those of the container that this cluster itself may run in: they end together."""
    around = os.environ.get(OWNER_ENV)
    return f"{around} {mark}" if around else mark


def resolve_executable(command: str, path: str | None, cwd: str) -> str:
    """Where the command is, searched as a shell would: in the container's own PATH.

    Raises:
        StartError: it is nowhere (127).
    """
    if "/" in command:
        found = Path(cwd) / command
        if not found.exists():
            raise StartError(f'exec: "{command}": {found} does not exist on this machine{_IMAGE_HINT}', _NOT_FOUND)
        return str(found)
    looked = path if path is not None else os.defpath
    for folder in looked.split(":"):
        candidate = Path(folder or cwd) / command
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    raise StartError(f'exec: "{command}": executable file not found in $PATH ({looked}){_IMAGE_HINT}', _NOT_FOUND)


_IMAGE_HINT = "; containers use this machine's programs, not their image's"


def start_error_message(command: Command, executable: str, error: Exception) -> str:
    if not Path(command.cwd).is_dir():
        return f"the working directory {command.cwd} does not exist on this machine{_IMAGE_HINT}"
    if isinstance(error, FileNotFoundError):
        return f'exec: "{command.argv[0]}": the interpreter that {executable} names does not exist'
    return f'exec: "{command.argv[0]}" ({executable}): {getattr(error, "strerror", None) or error}'
