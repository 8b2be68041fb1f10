"""One container of a pod: its process, log, state and restarts.

It starts and signals processes; `embedded.kubelet.pod_worker` decides when.
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
from embedded.kubelet.logs.files import DEFAULT_MAX_BYTES, log_path
from embedded.kubelet.logs.reader import read_tail
from embedded.kubelet.logs.writer import LogWriter
from embedded.kubelet.pod_status import ContainerState, Terminated

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_FALLBACK_LINES, _FALLBACK_BYTES = 80, 2048


@dataclass(frozen=True)
class ContainerContext:
    """What a pod gives its containers."""

    pod: Json
    folder: Path
    inherited: Mapping[str, str]
    volumes: Mapping[str, Path]
    secret: Lookup
    config_map: Lookup
    timestamp: Callable[[], str]
    """The current time as a metav1.Time."""
    cgroups: Cgroups
    log_limit: int = DEFAULT_MAX_BYTES
    """Bytes that are kept of each container's log."""


class Container:
    """A container and its state."""

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

    def start(self, context: ContainerContext) -> bool:
        """Start the process.

        Returns:
            False if that failed: the state is then waiting (for a Secret or ConfigMap, that may still be created) or
            terminated, with the reason.
        """
        try:
            values = container_environment(self.spec, context.pod, context.secret, context.config_map)
            paths = PathMap.of(self.spec, context.volumes, values)
        except ConfigError as error:
            self.state.waiting = ("CreateContainerConfigError", str(error))
            return False
        state, uid = self.state, context.pod["metadata"]["uid"]
        if state.last is not None:
            state.restarts += 1
        state.container_id = f"process://{uid}/{self.name}/{state.restarts}"
        started_at = context.timestamp()
        try:
            self._start_process(context, values, paths)
        except (CgroupError, StartError, OSError, ValueError) as error:
            self._set_start_failed(error, started_at, context.folder)
            return False
        state.running_since, state.terminated = started_at, None
        state.started = not (self.spec.get("startupProbe") or (self.spec.get("lifecycle") or {}).get("postStart"))
        state.ready = state.started and not self.spec.get("readinessProbe")
        return True

    def _start_process(self, context: ContainerContext, values: Mapping[str, str], paths: PathMap) -> None:
        uid = context.pod["metadata"]["uid"]
        self.log = LogWriter(log_path(context.folder, self.name, self.state.restarts), time.time_ns, context.log_limit)
        self._termination_message = TerminationMessage.of(self.spec, paths, context.folder)
        self._cgroup = context.cgroups.create(self.spec, f"{uid}-{self.name}")
        argv = [*(self.spec.get("command") or []), *(self.spec.get("args") or [])]
        command = self.build_command(argv, context, values)
        self.process = Process(command, sink=self._write)
        self._launched = command, paths

    def _set_start_failed(self, error: Exception, started_at: str, folder: Path) -> None:
        exit_code, message = 128, str(error)
        if isinstance(error, StartError):
            exit_code = error.exit_code
            self._write(f"{error}\n".encode(errors="replace"))
        elif isinstance(error, OSError):
            message = f"can't write in {folder}: {error.strerror}"
        elif isinstance(error, ValueError):
            message = f"the container's spec is invalid: {error}"
        self._set_terminated(exit_code, "StartError", started_at, started_at, message)

    def build_command(
        self, argv: list[Any], context: ContainerContext, values: Mapping[str, str] | None = None
    ) -> Command:
        """A command with this container's variables, paths and working directory.

        Args:
            argv: as in the spec, with `$(NAME)` references.
            values: the container's variables, if they are resolved already.

        Raises:
            ConfigError: a Secret or ConfigMap that the variables need is missing.
            OSError: the working directory can't be created.
        """
        if values is None:
            values = container_environment(self.spec, context.pod, context.secret, context.config_map)
        paths = PathMap.of(self.spec, context.volumes, values)
        rewrite = self._termination_message.rewrite
        environment = {**context.inherited, **{name: rewrite(paths.map(value)) for name, value in values.items()}}
        argv = [rewrite(paths.map(expand_variables(str(word), values))) for word in argv]
        requested = self.spec.get("workingDir") or ""
        cwd = paths.map(requested) or str(context.folder / "root")
        if cwd != requested:
            # A container runtime creates a missing working directory; outside the pod's folder nothing is created.
            Path(cwd).mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = f"{context.pod['metadata']['uid']}/{self.name}"
        return Command(argv, environment, cwd, owner, str(context.folder), self._cgroup)

    def exec(self, options: ExecOptions) -> ProcessExecSession | None:
        """Start another command with the environment of the container's own; None when the container does not run.

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

    async def _end_sessions(self, owner: str) -> None:
        """Kill the commands of `kubectl exec`: they end with the container."""
        if not self._sessions:
            return
        sessions = list(self._sessions)
        for session in sessions:
            session.kill()
        for session in sessions:
            await session.wait()
        await orphans.end_detached(orphans.ProcessOwnership(owner))

    async def wait(self, timestamp: Callable[[], str]) -> int:
        """Wait for the end of the process and record it in the state; returns the exit code."""
        ended = self.state.terminated
        if self.process is None:
            return ended.exit_code if ended is not None else -1
        started_at = self.state.running_since or timestamp()
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
        self._set_terminated(code, reason, started_at, timestamp(), self._read_termination_message(code))
        return code

    def terminate(self) -> None:
        """Send SIGTERM; it is not restarted."""
        self.stop_requested = True
        if self.process is not None:
            self.process.terminate()

    def kill(self) -> None:
        """Send SIGKILL to all its processes; it is not restarted."""
        self.stop_requested = True
        if self.process is not None:
            self.process.kill()

    def terminate_within(self, seconds: float) -> None:
        """Send SIGTERM, and SIGKILL if it still runs after this many seconds; it may be restarted."""
        if self.process is not None:
            self.process.terminate()
            asyncio.get_running_loop().call_later(seconds, self.process.kill)

    def prepare_restart(self) -> None:
        """Make the recorded end the last state, before the next start."""
        state = self.state
        state.last, state.terminated, state.running_since = state.terminated, None, None
        state.started = state.ready = False
        state.waiting = ("CrashLoopBackOff", "")

    def _set_terminated(self, code: int, reason: str, started_at: str, finished: str, message: str = "") -> None:
        self.state.terminated = Terminated(code, reason, started_at, finished, message, self.state.container_id)
        self.state.started = self.state.ready = False
        if self.log is not None:
            self.log.close()
        if self._cgroup is not None:
            self._cgroup.close()
            self._cgroup = None

    def _read_termination_message(self, code: int) -> str:
        message = self._termination_message.read()
        if not message and code != 0 and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            message = read_tail(self.log.path, _FALLBACK_LINES, _FALLBACK_BYTES) if self.log is not None else b""
        return message.decode("utf-8", "replace")

    def _write(self, data: bytes) -> None:
        if self.log is None or self.log.closed:
            return
        try:
            self.log.write(data)
        except OSError as error:
            # The disk is full: the process goes on and its output is missing from the log. Logged once, not per line.
            if not self._log_write_failed:
                self._log_write_failed = True
                _log.error("container %s: can't write its log, output is lost: %s", self.name, error)
