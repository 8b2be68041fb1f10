"""One process of a container: started in its own session, waited for without a thread, killed with all its children.

The event loop reads its output in bounded chunks, one per iteration, so that a program that floods its output delays
no other; the program itself is slowed down to the speed of the disk. This module knows nothing of pods.

On macOS there is no pidfd: one thread per process waits for its end. Processes that left the process group are found
on Linux only (see `embedded.kubelet.runtime.process.orphans`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded.kubelet.runtime.interface import StartError
from embedded.kubelet.runtime.process import orphans
from embedded.kubelet.runtime.process.cgroups import ContainerCgroup
from embedded.kubelet.runtime.process.orphans import OWNER_ENV, ProcessOwnership

_READ = 256 * 1024
_LAST_READS = 64
_NOT_FOUND = 127


@dataclass(frozen=True)
class Command:
    """A command of a container and what it runs in."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: str
    owner: str
    """The container that its processes belong to: `pod uid/container name`."""
    folder: str = ""
    """The pod's folder."""
    cgroup: ContainerCgroup | None = None
    """None when the container has no limits, or they can't be enforced."""


class ProcessExit:
    """Waits for the end of a process that was just started, and reaps it; nothing else may reap it.

    Args:
        before_reap: called when the process has ended and, with a pidfd, is still a zombie: its PID can't have been
            reused yet.
    """

    def __init__(self, popen: subprocess.Popen[bytes], before_reap: Callable[[], None]) -> None:
        self._popen = popen
        self._before_reap = before_reap
        self._loop = asyncio.get_running_loop()
        self.code: asyncio.Future[int] = self._loop.create_future()
        """The exit code; 128 + signal number if it was killed."""
        orphans.root_pids.add(popen.pid)
        self._watch()

    def _watch(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            pidfd = os.pidfd_open(self._popen.pid)
            self._loop.add_reader(pidfd, self._readable, pidfd)
            return
        threading.Thread(target=self._wait_in_thread, name=f"wait-{self._popen.pid}", daemon=True).start()

    def _wait_in_thread(self) -> None:
        self._popen.wait()
        # The loop may have been closed while the process ran on.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended)

    def _readable(self, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        self._ended()

    def _ended(self) -> None:
        self._before_reap()
        code = self._popen.wait()
        orphans.root_pids.discard(self._popen.pid)
        if not self.code.done():
            self.code.set_result(128 - code if code < 0 else code)


class Process:
    """A started process.

    Args:
        sink: gets what it writes to stdout and stderr, in the order of arrival.

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
        """Wait until the process and its descendants have ended and its output is read; kills them when cancelled.

        Returns:
            The exit code; 128 + signal number if it was killed.
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
        """Send SIGTERM to the first process only, as a container runtime does: forwarding it is that process's task."""
        if not self._exit.code.done():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._popen.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the first process, its group, and the processes that left the group."""
        if not self._exit.code.done():
            self._kill_group()
            orphans.kill_detached(self._ownership)

    def _kill_group(self) -> None:
        # macOS fails with EPERM if only a zombie is left of the group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def _read(self) -> bool:
        """Read one chunk of output; False if there is none now, or at its end."""
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
        """Read what is left in the pipe: all writers are dead, so that is at most the pipe's capacity."""
        for _ in range(_LAST_READS):
            if self._drained or not self._read():
                break
        # The pipe may still be held open by a process that was not found: its output is no longer the container's.
        self._close_output()

    def _close_output(self) -> None:
        if not self._drained:
            self._drained = True
            self._loop.remove_reader(self._output)
            os.close(self._output)


def join_cgroup(command: Command, executable: str) -> tuple[Sequence[str], str]:
    """(argv, executable) that first enters the container's cgroups, if it has any."""
    if command.cgroup is None:
        return command.argv, executable
    argv = command.cgroup.join_command([executable, *command.argv[1:]])
    return argv, argv[0]


def process_environment(command: Command) -> dict[str, str]:
    """Its environment. The owner is set last: no spec can forge or clear it for the first process."""
    return {**command.environment, OWNER_ENV: _nested_owner(command.owner)}


def _nested_owner(owner: str) -> str:
    """The owner, after those of the container that this cluster itself may run in: they end together."""
    outer = os.environ.get(OWNER_ENV)
    return f"{outer} {owner}" if outer else owner


def resolve_executable(command: str, path: str | None, cwd: str) -> str:
    """The path of a command, searched as a shell does: in the container's own PATH.

    Raises:
        StartError: it does not exist (exit code 127).
    """
    if "/" in command:
        found = Path(cwd) / command
        if not os.path.exists(found):  # noqa: PTH110
            raise StartError(f'exec: "{command}": {found} does not exist on this machine{_IMAGE_HINT}', _NOT_FOUND)
        return str(found)
    search_path = path if path is not None else os.defpath
    for folder in search_path.split(":"):
        candidate = str(Path(folder or cwd) / command)
        # A folder that can't be entered is passed over, as by a shell; pathlib would raise an error.
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):  # noqa: PTH113
            return candidate
    # A PATH that the container's spec sets may come from a Secret: only the machine's own is shown.
    shown = search_path if search_path in (os.environ.get("PATH"), os.defpath) else "that its spec sets"
    raise StartError(f'exec: "{command}": executable file not found in $PATH ({shown}){_IMAGE_HINT}', _NOT_FOUND)


_IMAGE_HINT = "; containers use this machine's programs, not their image's"


def start_error_message(command: Command, executable: str, error: Exception) -> str:
    if not Path(command.cwd).is_dir():
        return f"the working directory {command.cwd} does not exist on this machine{_IMAGE_HINT}"
    if isinstance(error, FileNotFoundError):
        return f'exec: "{command.argv[0]}": the interpreter that {executable} names does not exist'
    return f'exec: "{command.argv[0]}" ({executable}): {getattr(error, "strerror", None) or error}'
