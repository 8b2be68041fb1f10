"""One process of a container: started in a session of its own, waited for without a thread, ended with all it made.

On Linux the cluster is a child subreaper: a process that detached itself from
its parents becomes the cluster's child, and is found there. Elsewhere only the
process group is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_READ = 256 * 1024
MARK = "C8S_EMBEDDED_CONTAINER"
"""In the environment of every process of a container: says whose it is, also after a crash of the cluster."""


# The first processes of containers: their Popen waits for them, and nobody else may.
_roots: set[int] = set()


def become_subreaper() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


class StartError(Exception):
    """A command can't be started; the message says which and why."""


class Process:
    """A started process. `sink` gets what it writes to stdout and stderr, in the order of arrival."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: str,
        mark: str,
        sink: Callable[[bytes], None],
    ) -> None:
        self._sink = sink
        self._mark = mark
        self._loop = asyncio.get_running_loop()
        executable = _resolve(argv[0], environment.get("PATH"), cwd)
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        try:
            # The mark is put in last: no spec can forge or clear it for the first process.
            self._popen = subprocess.Popen(
                argv,
                executable=executable,
                env={**environment, MARK: mark},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            os.close(read_end)
            raise StartError(_why(argv[0], cwd, error)) from error
        finally:
            os.close(write_end)
        _roots.add(self._popen.pid)
        self._output = read_end
        self._drained: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(read_end, self._read)
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._watch_exit()

    @property
    def pid(self) -> int:
        return self._popen.pid

    async def wait(self) -> int:
        """The exit code (128 + signal when it was killed), once nothing of it is left and its output is read."""
        try:
            code = await asyncio.shield(self._exit)
        except asyncio.CancelledError:
            self.kill()
            await asyncio.shield(self._exit)
            self._clean_up()
            raise
        self._clean_up()
        # What is left in the pipe is read; a writer that could not be ended does not hold us.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await asyncio.shield(self._drained)
        self._close_output()
        return 128 - code if code < 0 else code

    def terminate(self) -> None:
        """SIGTERM to the first process alone, as a container runtime does: passing it on is that process's task."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self._popen.pid, signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        _kill_detached(self._mark)

    def _signal(self, sign: signal.Signals) -> None:
        """To the whole process group. The group outlives its first process, so that one may have ended."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, sign)

    def _clean_up(self) -> None:
        _roots.discard(self._popen.pid)
        self._signal(signal.SIGKILL)
        _kill_detached(self._mark)

    def _watch_exit(self) -> None:
        if hasattr(os, "pidfd_open"):
            self._pidfd = os.pidfd_open(self._popen.pid)
            self._loop.add_reader(self._pidfd, self._exited)
        else:
            # macOS: a thread waits. It ends with its process.
            waiting = self._loop.run_in_executor(None, self._popen.wait)
            waiting.add_done_callback(lambda done: None if self._exit.done() else self._exit.set_result(done.result()))

    def _exited(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        if not self._exit.done():
            self._exit.set_result(self._popen.wait())

    def _read(self) -> None:
        try:
            data = os.read(self._output, _READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._sink(data)
        else:
            self._close_output()

    def _close_output(self) -> None:
        if not self._drained.done():
            self._loop.remove_reader(self._output)
            os.close(self._output)
            self._drained.set_result(None)


def _resolve(command: str, path: str | None, cwd: str) -> str:
    """Where the command is, searched as a shell would: in the container's own PATH."""
    if "/" in command:
        return str(Path(cwd) / command)
    for folder in (path or os.defpath).split(":"):
        candidate = Path(folder or cwd) / command
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    raise StartError(f'exec: "{command}": executable file not found in $PATH on this machine (the image is not used)')


def _why(command: str, cwd: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and not Path(cwd).is_dir():
        return f"the working directory {cwd} does not exist"
    return f'exec: "{command}": {getattr(error, "strerror", None) or error}'


def _kill_detached(mark: str) -> None:
    """End processes of a container that left its group: they have become children of this process."""
    if sys.platform != "linux":
        return
    for pid in _children():
        if pid in _roots:
            continue
        with contextlib.suppress(OSError):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                continue
            if _mark_of(pid) == mark:
                for doomed in (pid, *_descendants(pid)):
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(doomed, signal.SIGKILL)
                os.waitpid(pid, 0)


def _children(pid: int | None = None) -> list[int]:
    """The children of a process, or of this one."""
    found: list[int] = []
    for task in Path(f"/proc/{pid or 'self'}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in task.read_text().split()]
    return found


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for child in _children(pid):
        found += [child, *_descendants(child)]
    return found


def _mark_of(pid: int) -> str | None:
    needle = MARK.encode() + b"="
    for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if entry.startswith(needle):
            return entry[len(needle) :].decode("utf-8", "replace")
    return None


def kill_orphans(prefix: str) -> int:
    """End all processes on the machine whose mark begins with `prefix`: left by a cluster that was killed.

    Returns how many there were. Without /proc (macOS) none are found.
    """
    ended = 0
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if pid == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if (mark := _mark_of(pid)) is not None and mark.startswith(prefix):
                os.kill(pid, signal.SIGKILL)
                ended += 1
    return ended
