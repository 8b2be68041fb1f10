"""One container of a pod: its process, its log, its state, and its restarts.

It starts and signals processes and decides nothing about when: that is the pod's
(`embedded.kubelet.pod_worker`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embedded.api.interfaces import ExecOptions
from embedded.kubelet.config.environment import ConfigError, Lookup, container_environment, expand_variables
from embedded.kubelet.config.volumes import PathMap
from embedded.kubelet.container import orphans
from embedded.kubelet.container.cgroups import CgroupError, Cgroups, ContainerCgroup
from embedded.kubelet.container.exec_session import ProcessExecSession
from embedded.kubelet.container.process import Command, Process, StartError
from embedded.kubelet.container.termination_message import TerminationMessage
from embedded.kubelet.logs.log_file import DEFAULT_MAX_BYTES, LogWriter, read_tail
from embedded.kubelet.pod_status import ContainerState, Terminated

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_FALLBACK_LINES, _FALLBACK_BYTES = 80, 2048


@dataclass(frozen=True)
class ContainerContext:
    """What a container's pod gives it. `stamp` is the time now, as a metav1.Time."""

    pod: Json
    folder: Path
    inherited: Mapping[str, str]
    volumes: Mapping[str, Path]
    secret: Lookup
    config_map: Lookup
    timestamp: Callable[[], str]
    cgroups: Cgroups
    log_limit: int = DEFAULT_MAX_BYTES
    """Bytes that are kept of each container's log."""


class Container:
    """A container and how it is doing."""

    def __init__(self, spec: Json, waiting: str) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.state = ContainerState(waiting=(waiting, ""))
        self.log: LogWriter | None = None
        self.process: Process | None = None
        self.stop_requested = False
        self._log_write_failed = False
        self._termination_message = TerminationMessage("", None)
        self._launched: tuple[Command, PathMap] | None = None
        self._sessions: set[ProcessExecSession] = set()
        self._cgroup: ContainerCgroup | None = None

    def start(self, around: ContainerContext) -> bool:
        """Start the process; False when that can't be done, and the state says why (waiting, or terminated).

        A missing Secret or ConfigMap leaves it waiting: it may come.
        """
        try:
            values = container_environment(self.spec, around.pod, around.secret, around.config_map)
            paths = PathMap.of(self.spec, around.volumes, values)
        except ConfigError as error:
            self.state.waiting = ("CreateContainerConfigError", str(error))
            return False
        state, uid = self.state, around.pod["metadata"]["uid"]
        if state.last is not None:
            state.restarts += 1
        state.container_id = f"process://{uid}/{self.name}/{state.restarts}"
        began = around.timestamp()
        try:
            path = log_path(around.folder, self.name, state.restarts)
            self.log = LogWriter(path, time.time_ns, around.log_limit)
            self._termination_message = TerminationMessage.of(self.spec, paths, around.folder)
            self._cgroup = around.cgroups.create(self.spec, f"{uid}-{self.name}")
            command = self.build_command(
                [*(self.spec.get("command") or []), *(self.spec.get("args") or [])], around, values
            )
            self.process = Process(command, sink=self._write)
            self._launched = command, paths
        except CgroupError as error:
            self._set_terminated(128, "StartError", began, began, str(error))
            return False
        except OSError as error:
            self._set_terminated(
                128, "StartError", began, began, f"can't write below {around.folder}: {error.strerror}"
            )
            return False
        except ValueError as error:
            self._set_terminated(128, "StartError", began, began, f"it can't be started as it is written: {error}")
            return False
        except StartError as error:
            self._write(f"{error}\n".encode(errors="replace"))
            self._set_terminated(error.exit_code, "StartError", began, began, str(error))
            return False
        state.running_since, state.terminated = began, None
        state.started = not (self.spec.get("startupProbe") or (self.spec.get("lifecycle") or {}).get("postStart"))
        state.ready = state.started and not self.spec.get("readinessProbe")
        return True

    def build_command(
        self, words: list[Any], around: ContainerContext, values: Mapping[str, str] | None = None
    ) -> Command:
        """What to run, with this container's variables, paths and folder. `values`: its variables, if known.

        Raises:
            ConfigError: they are not known, and can't be had any more.
            OSError: its working directory can't be made.
        """
        if values is None:
            values = container_environment(self.spec, around.pod, around.secret, around.config_map)
        paths = PathMap.of(self.spec, around.volumes, values)
        told = self._termination_message.rewrite
        environment = {**around.inherited, **{name: told(paths.map(value)) for name, value in values.items()}}
        argv = [told(paths.map(expand_variables(str(word), values))) for word in words]
        wanted = self.spec.get("workingDir") or ""
        cwd = paths.map(wanted) or str(around.folder / "root")
        if cwd != wanted:
            # A container runtime makes a working directory that is missing; outside the pod nothing is made.
            Path(cwd).mkdir(mode=0o700, parents=True, exist_ok=True)
        mark = f"{around.pod['metadata']['uid']}/{self.name}"
        return Command(argv, environment, cwd, mark, str(around.folder), self._cgroup)

    def exec(self, options: ExecOptions) -> ProcessExecSession | None:
        """Start a command beside the container's own, in what that one was started in; None when it does not run.

        Raises:
            StartError: it can't be started.
        """
        if self.process is None or self._launched is None:
            return None
        own, paths = self._launched
        session = ProcessExecSession(replace(own, argv=[paths.map(word) for word in options.command]), options)
        self._sessions.add(session)
        session.add_done_callback(lambda: self._sessions.discard(session))
        return session

    async def _end_sessions(self, mark: str) -> None:
        """What was started inside by others ends with the container."""
        if not self._sessions:
            return
        sessions = list(self._sessions)
        for session in sessions:
            session.kill()
        for session in sessions:
            await session.wait()
        await orphans.end_detached(orphans.ProcessOwnership(mark))

    async def wait(self, timestamp: Callable[[], str]) -> int:
        """Wait for the end of the process and take note of it; returns the exit code."""
        ended = self.state.terminated
        if self.process is None:
            return ended.exit_code if ended is not None else -1
        began = self.state.running_since or timestamp()
        try:
            code = await self.process.wait()
        finally:
            self.process = None
            if self._launched is not None:
                await self._end_sessions(self._launched[0].owner)
            if self.log is not None:
                self.log.close()
        reason = "Completed" if code == 0 else "Error"
        if code != 0 and self._cgroup is not None and self._cgroup.killed_for_memory():
            reason = "OOMKilled"
        self._set_terminated(code, reason, began, timestamp(), self._read_termination_message(code))
        return code

    def terminate(self) -> None:
        """SIGTERM, and no restart."""
        self.stop_requested = True
        if self.process is not None:
            self.process.terminate()

    def kill(self) -> None:
        """SIGKILL to all of it, and no restart."""
        self.stop_requested = True
        if self.process is not None:
            self.process.kill()

    def terminate_within(self, seconds: float) -> None:
        """SIGTERM, and SIGKILL when that has not helped after so long; it may be started again."""
        if self.process is not None:
            self.process.terminate()
            asyncio.get_running_loop().call_later(seconds, self.process.kill)

    def prepare_restart(self) -> None:
        """Put the end behind it, as the state before the next start."""
        state = self.state
        state.last, state.terminated, state.running_since = state.terminated, None, None
        state.started = state.ready = False
        state.waiting = ("CrashLoopBackOff", "")

    def _set_terminated(self, code: int, reason: str, began: str, finished: str, message: str = "") -> None:
        self.state.terminated = Terminated(code, reason, began, finished, message, self.state.container_id)
        self.state.started = self.state.ready = False
        if self.log is not None:
            self.log.close()
        if self._cgroup is not None:
            self._cgroup.close()
            self._cgroup = None

    def _read_termination_message(self, code: int) -> str:
        said = self._termination_message.read()
        if not said and code != 0 and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            said = read_tail(self.log.path, _FALLBACK_LINES, _FALLBACK_BYTES) if self.log is not None else b""
        return said.decode("utf-8", "replace")

    def _write(self, data: bytes) -> None:
        if self.log is None or self.log.closed:
            return
        try:
            self.log.write(data)
        except OSError as error:
            # A full disk: the step goes on, and what it printed is missing from its log. Said once, not per line.
            if not self._log_write_failed:
                self._log_write_failed = True
                _log.error("container %s: its output can't be kept any more: %s", self.name, error)


def log_path(folder: Path, container: str, restart: int) -> Path:
    return folder / "logs" / container / f"{restart}.log"
