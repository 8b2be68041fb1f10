"""A command that a user runs inside a running container: `kubectl exec`.

It gets the container's environment, working directory, volumes and limits, and its own session (a process of another
session can't join the container's group); it ends with the container at the latest. What it leaves running in the
background keeps running in the container, as on a node. Its output gets to the client by
`embedded.apiserver.handlers.exec`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import termios
from collections.abc import Awaitable, Callable
from dataclasses import replace

from embedded.api.interfaces import ExecOptions
from embedded.kubelet.runtime.interface import StartError
from embedded.kubelet.runtime.process.process import (
    Command,
    ProcessExit,
    join_cgroup,
    process_environment,
    resolve_executable,
    start_error_message,
)

Send = Callable[[int, bytes], Awaitable[None]]
"""Takes (1 for stdout or 2 for stderr, output); returns when the client can take more."""

_READ = 64 * 1024
_LAST_READS = 64
_HANGUP_GRACE = 2.0
_STDOUT, _STDERR = 1, 2
# A session leader acquires a controlling terminal by opening it.
_TAKE_TERMINAL = 'exec 3<>"$0" 3>&-; exec "$@"'


class ProcessExecSession:
    """One command with its streams.

    Raises:
        StartError: it can't be started.
    """

    def __init__(self, command: Command, options: ExecOptions) -> None:
        self._input: int | None = None
        self._outputs: dict[int, int] = {}
        self._terminal: int | None = None
        """The terminal's other end, kept open so that a moment without readers or writers is not taken for the end."""
        executable = resolve_executable(command.argv[0], command.environment.get("PATH"), command.cwd)
        try:
            self._popen = self._on_terminal(command, executable) if options.tty else self._on_pipes(command, options)
        except (OSError, ValueError) as error:
            self._close_all()
            raise StartError(start_error_message(command, executable, error)) from error
        self._exit = ProcessExit(self._popen, lambda: None)

    def _on_terminal(self, command: Command, executable: str) -> subprocess.Popen[bytes]:
        master, self._terminal = os.openpty()
        self._outputs[_STDOUT] = master
        self._input = os.dup(master)
        environment = {"TERM": "xterm", **command.environment}
        shell = ["/bin/sh", "-c", _TAKE_TERMINAL, os.ttyname(self._terminal), executable, *command.argv[1:]]
        ends = (self._terminal, self._terminal, self._terminal)
        return _start_process(replace(command, argv=shell, environment=environment), "/bin/sh", ends, self._own_ends())

    def _on_pipes(self, command: Command, options: ExecOptions) -> subprocess.Popen[bytes]:
        theirs = [subprocess.DEVNULL] * 3
        try:
            if options.stdin:
                theirs[0], self._input = os.pipe()
            for number, is_requested in ((_STDOUT, options.stdout), (_STDERR, options.stderr)):
                if is_requested:
                    self._outputs[number], theirs[number] = os.pipe()
            executable = resolve_executable(command.argv[0], command.environment.get("PATH"), command.cwd)
            return _start_process(command, executable, (theirs[0], theirs[1], theirs[2]), self._own_ends())
        finally:
            for end in theirs:
                if end >= 0:
                    os.close(end)

    def _own_ends(self) -> list[int]:
        return [*self._outputs.values(), *([] if self._input is None else [self._input])]

    # -- called by the client's side

    async def write(self, data: bytes) -> None:
        """Write to its stdin; returns when everything is written, or nothing reads it any more."""
        view = memoryview(data)
        while view and self._input is not None:
            try:
                view = view[os.write(self._input, view) :]
            except BlockingIOError:
                await self._wait_ready(self._input, writing=True)
            except OSError:
                self.close_input()

    def close_input(self) -> None:
        """Close its stdin; on a terminal, send Ctrl-D."""
        if self._input is None:
            return
        if self._terminal is not None:
            with contextlib.suppress(OSError):
                os.write(self._input, b"\x04")
        os.close(self._input)
        self._input = None

    def resize(self, columns: int, rows: int) -> None:
        """Set the size of the terminal, in characters."""
        if self._terminal is not None and 0 < columns < 1 << 16 and 0 < rows < 1 << 16:
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def kill(self) -> None:
        """Kill it: its container has ended."""
        self._signal(signal.SIGKILL)

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the command itself has ended."""
        self._exit.code.add_done_callback(lambda _: callback())

    async def wait(self) -> None:
        """Wait until the command itself has ended."""
        await asyncio.shield(self._exit.code)

    # -- running

    async def run(self, send: Send) -> int:
        """Forward its output until it has ended; returns its exit code.

        When cancelled (the client has disconnected), it gets SIGHUP, and SIGKILL if it ignores that.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for number, descriptor in self._outputs.items():
                    group.create_task(self._forward_output(number, descriptor, send))
            return await asyncio.shield(self._exit.code)
        except BaseException:
            await self._hangup()
            raise
        finally:
            self._close_all()

    async def _forward_output(self, number: int, descriptor: int, send: Send) -> None:
        while not self._exit.code.done():
            await self._wait_ready(descriptor, writing=False)
            if self._exit.code.done() or not await self._forward_chunk(number, descriptor, send):
                break
        await self.wait()
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None
        # All of its output is in the pipe by now. A background process may keep the pipe open: it is not waited for.
        for _ in range(_LAST_READS):
            if not await self._forward_chunk(number, descriptor, send):
                break

    async def _forward_chunk(self, number: int, descriptor: int, send: Send) -> bool:
        """Forward one chunk; False if there is none now, or at the end."""
        try:
            data = os.read(descriptor, _READ)
        except BlockingIOError:
            return not self._exit.code.done()
        except OSError:
            # EIO: no process has the terminal open any more.
            return False
        if data:
            await send(number, data)
        return bool(data)

    async def _wait_ready(self, descriptor: int, *, writing: bool) -> None:
        """Wait until a descriptor can be read or written, or the command has ended."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()

        def wake(*_: object) -> None:
            if not ready.done():
                ready.set_result(None)

        add, remove = (loop.add_writer, loop.remove_writer) if writing else (loop.add_reader, loop.remove_reader)
        add(descriptor, wake)
        self._exit.code.add_done_callback(wake)
        try:
            await ready
        finally:
            remove(descriptor)
            self._exit.code.remove_done_callback(wake)

    async def _hangup(self) -> None:
        if self._exit.code.done():
            return
        self._signal(signal.SIGHUP)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HANGUP_GRACE):
                await self.wait()
        self.kill()
        await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        if not self._exit.code.done():
            # macOS fails with EPERM if only a zombie is left of the group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, number)

    def _close_all(self) -> None:
        for descriptor in (*self._own_ends(), *([] if self._terminal is None else [self._terminal])):
            os.close(descriptor)
        self._outputs, self._input, self._terminal = {}, None, None


def _start_process(
    command: Command, executable: str, ends: tuple[int, int, int], ours: list[int]
) -> subprocess.Popen[bytes]:
    for descriptor in ours:
        os.set_blocking(descriptor, False)
    argv, executable = join_cgroup(command, executable)
    return subprocess.Popen(
        argv,
        executable=executable,
        env=process_environment(command),
        cwd=command.cwd,
        stdin=ends[0],
        stdout=ends[1],
        stderr=ends[2],
        start_new_session=True,
    )
