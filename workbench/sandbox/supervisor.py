"""The parent of a sandbox's two processes: starts, restarts and stops them.

It is a background process that uses the standard library only. It owns the
listening sockets, so that a restarted child serves the same port. `lifecycle`
decides when a sandbox starts and stops.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from workbench.sandbox import processes
from workbench.sandbox.locks import FileLock
from workbench.sandbox.paths import ChildProcess, SandboxPaths, SandboxState, write_state

_PR_SET_PDEATHSIG = 1
# Loaded here, because a process with threads must not load libraries between fork and exec.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_HEALTHY_AFTER = 30.0
_BACKOFF = (0.1, 0.5, 1.0, 2.0, 5.0)
_LOG_LIMIT = 10 * 1024 * 1024
_CHECK_SECONDS = 2.0
"""Seconds between checks that the sandbox's folder still exists."""
_UNREADABLE_DATA = "exit code 65"
"""The exit of a child whose data can't be read (`EX_DATAERR` of sysexits.h): a restart does not help."""


def restart_delay(failures: int) -> float:
    """Seconds to wait before the next start, after `failures` (from 1) consecutive failures."""
    return _BACKOFF[min(failures, len(_BACKOFF)) - 1]


@dataclass
class ManagedProcess:
    """A process that runs as long as the sandbox."""

    name: str
    command: Sequence[str]
    listener: socket.socket
    log: Path
    grace: float
    """Seconds between SIGTERM and SIGKILL."""
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_time: str = ""
    restarts: int = 0
    failures: int = 0
    last_exit: str | None = None
    restart_at: float = field(default=0.0)
    """When to start it (monotonic seconds), while it is not running."""

    def start(self, now: float) -> None:
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "--listen-fd", str(self.listener.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self.listener.fileno()],
                preexec_fn=_die_with_parent,
            )
        self.started_at = now
        self.start_time = processes.start_time(self.process.pid) or ""

    def reap(self, now: float) -> bool:
        """Record the exit of the process; False if it has not exited."""
        if self.process is None or (code := self.process.poll()) is None:
            return False
        self.process = None
        self.last_exit = f"signal {-code}" if code < 0 else f"exit code {code}"
        self.failures = 1 if now - self.started_at > _HEALTHY_AFTER else self.failures + 1
        self.restarts += 1
        self.restart_at = now + restart_delay(self.failures)
        return True

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(self.grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


def _die_with_parent() -> None:
    """In the child: end with the supervisor in any case (on Linux; elsewhere the next start terminates it)."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Runs the processes until SIGTERM, until a temporary sandbox has no clients, or until its folder is deleted.

    `lock` is the sandbox's supervisor lock, which this process holds.
    """

    def __init__(
        self,
        folder: SandboxPaths,
        services: Sequence[ManagedProcess],
        version: str,
        clock: Callable[[], float],
        lock: FileLock,
    ) -> None:
        self._folder = folder
        self._lock = lock
        self._failure: str | None = None
        self._services = services
        self._version = version
        self._clock = clock
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._stopping = False
        self._wake_read, self._wake_write = socket.socketpair()
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)

    def run(self, ready: Callable[[], None]) -> None:
        """Run until the sandbox ends. `ready` is called once the state file is written."""
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for service in self._services:
            service.start(self._clock())
        self._write_state()
        ready()
        threading.Thread(target=self._stop_when_unused, daemon=True).start()
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._stopping:
                selector.select(self._seconds_until_check())
                self._drain()
                self._check_folder()
                self._restart_ended()
        # The controller first, because it uses the cluster.
        for service in reversed(self._services):
            service.stop()

    def _on_stop(self, *_: object) -> None:
        self._stopping = True

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_read.recv(4096)

    def _seconds_until_check(self) -> float:
        """Seconds until the next restart or the next check of the folder."""
        due = [service.restart_at - self._clock() for service in self._services if service.process is None]
        return max(0.0, min([_CHECK_SECONDS, *due]))

    def _check_folder(self) -> None:
        """End the sandbox if its folder was deleted: nobody would find it again."""
        if not self._lock.exists():
            _log(f"{self._folder.root} was deleted; ending the sandbox")
            self._stopping = True
        elif not self._folder.state_file.exists():
            self._write_state()

    def _restart_ended(self) -> None:
        now, changed = self._clock(), False
        for service in self._services:
            if service.reap(now):
                changed = True
                if service.last_exit == _UNREADABLE_DATA:
                    self._failure = _last_line(service.log) or f"{service.name} can't read its data"
                    self._stopping = True
                    _log(f"{service.name} can't read its data; ending the sandbox", service=service.name)
                    continue
                _log(f"{service.name} ended with {service.last_exit}; restarting", service=service.name)
            if service.process is None and service.restart_at <= now and not self._stopping:
                self._start(service, now)
                changed = True
        if changed:
            self._write_state()

    def _start(self, service: ManagedProcess, now: float) -> None:
        try:
            service.start(now)
        except OSError as error:
            service.failures += 1
            service.last_exit = f"could not be started: {error}"
            service.restart_at = now + restart_delay(service.failures)
            _log(f"{service.name} can't be started: {error}")

    def _write_state(self) -> None:
        cluster, api = (service.listener.getsockname()[1] for service in self._services)
        children = {
            service.name: ChildProcess(service.process.pid, service.start_time, service.restarts, service.last_exit)
            for service in self._services
            if service.process is not None
        }
        state = SandboxState(os.getpid(), self._version, self._started_at, cluster, api, children, self._failure)
        try:
            write_state(self._folder, state)
        except OSError as error:
            # A full disk must not stop a running sandbox; readers of the file see older pids.
            _log(f"can't write {self._folder.state_file}: {error}")

    def _stop_when_unused(self) -> None:
        """Attached clients share the users' lock; acquiring it exclusively means that there are none."""
        lock = FileLock(self._folder.users_lock)
        while True:
            try:
                lock.acquire(wait=True)
            except OSError:
                # The folder was deleted, or this process has too many files open: the main loop decides.
                time.sleep(_CHECK_SECONDS)
                continue
            if not self._folder.keep_marker.exists():
                # The lock is kept, so that no client attaches to a sandbox that is ending.
                os.kill(os.getpid(), signal.SIGTERM)
                return
            lock.release()
            time.sleep(1.0)


def _last_line(log: Path) -> str:
    """The last line of a log, without the program's name in front."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return lines[-1].removeprefix("c8s-cluster: ") if lines else ""


def _log(message: str, **fields: object) -> None:
    record = {"time": datetime.now(UTC).isoformat(), "logger": "supervisor", "message": message, **fields}
    # A full disk must not end the supervisor.
    with contextlib.suppress(OSError):
        print(json.dumps(record), file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="workbench.sandbox.supervisor", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--ready-fd", type=int, required=True, help="receives one line when the state file is written")
    for name in ("cluster", "controller"):
        parser.add_argument(f"--{name}-fd", type=int, required=True, help="a listening socket")
        parser.add_argument(f"--{name}", type=json.loads, required=True, help="the command, as a JSON list")
    args = parser.parse_args(argv)
    folder = SandboxPaths(args.folder)
    lock = FileLock(folder.supervisor_lock)
    if not lock.acquire():
        _log(f"another supervisor is running {folder.root}")
        return 1
    services = [
        ManagedProcess(name, command, socket.socket(fileno=descriptor), folder.logs / f"{name}.log", grace)
        for name, command, descriptor, grace in (
            ("cluster", args.cluster, args.cluster_fd, 20.0),
            ("controller", args.controller, args.controller_fd, 10.0),
        )
    ]

    def ready() -> None:
        with os.fdopen(args.ready_fd, "w") as pipe:
            pipe.write("ready\n")

    Supervisor(folder, services, args.version, time.monotonic, lock).run(ready)
    return 0


if __name__ == "__main__":
    sys.exit(main())
