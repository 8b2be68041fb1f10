"""One container of a pod: its log, state and restarts.

Its runtime runs it; `embedded.kubelet.pod_worker` decides when.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.api.interfaces import ExecOptions, ExecSession
from embedded.kubelet.config.environment import ConfigError, Lookup, container_environment, expand_variables
from embedded.kubelet.config.mounts import resolve_mounts
from embedded.kubelet.logs.files import DEFAULT_MAX_BYTES, log_path
from embedded.kubelet.logs.reader import read_tail
from embedded.kubelet.logs.writer import LogWriter
from embedded.kubelet.pod_status import ContainerState, Terminated
from embedded.kubelet.runtime.interface import Launch, PodRuntime, RuntimeContainer, StartError

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_FALLBACK_LINES, _FALLBACK_BYTES = 80, 2048


@dataclass(frozen=True)
class ContainerContext:
    """What a pod gives its containers."""

    pod: Json
    folder: Path
    runtime: PodRuntime
    volumes: Mapping[str, Path]
    secret: Lookup
    config_map: Lookup
    timestamp: Callable[[], str]
    """The current time as a metav1.Time."""
    shared: bool = False
    """Whether containers may have users of their own."""
    log_limit: int = DEFAULT_MAX_BYTES
    """Bytes that are kept of each container's log."""


class Container:
    """A container and its state.

    Attributes:
        running: what runs; None before its start and after its end.
    """

    def __init__(self, spec: Json, waiting: str) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.state = ContainerState(waiting=(waiting, ""))
        self.log: LogWriter | None = None
        self.running: RuntimeContainer | None = None
        self.stop_requested = False
        self._kill_requested = False
        self._log_write_failed = False
        self._variables: Mapping[str, str] = {}

    async def start(self, context: ContainerContext) -> bool:
        """Start it.

        Returns:
            False if that failed: the state is then waiting (for a Secret or ConfigMap, that may still be created) or
            terminated, with the reason.
        """
        state, started_at = self.state, context.timestamp()
        restarts = state.restarts + (state.last is not None)
        created: RuntimeContainer | None = None
        try:
            launch = self._build_launch(context, restarts)
            created = await context.runtime.create(launch)
            state.restarts, state.container_id, self._variables = restarts, created.id, launch.variables
            state.image_id = created.image_id
            self.log = LogWriter(log_path(context.folder, self.name, restarts), time.time_ns, context.log_limit)
            await created.start(self._write)
        except ConfigError as error:
            state.waiting = ("CreateContainerConfigError", str(error))
            return False
        except (StartError, OSError, ValueError) as error:
            state.restarts = restarts
            await self._set_start_failed(error, started_at, context, created)
            return False
        self.running = created
        state.running_since, state.terminated = started_at, None
        state.started = not (self.spec.get("startupProbe") or (self.spec.get("lifecycle") or {}).get("postStart"))
        state.ready = state.started and not self.spec.get("readinessProbe")
        # The pod may have been stopped while an engine started it.
        if self._kill_requested:
            created.kill()
        elif self.stop_requested:
            created.terminate()
        return True

    def _build_launch(self, context: ContainerContext, restarts: int) -> Launch:
        variables = container_environment(self.spec, context.pod, context.secret, context.config_map)
        mounts = resolve_mounts(self.spec, context.volumes, variables, shared=context.shared)
        return Launch(self.spec, restarts, variables, mounts)

    async def _set_start_failed(
        self, error: Exception, started_at: str, context: ContainerContext, created: RuntimeContainer | None
    ) -> None:
        exit_code, message, folder = 128, str(error), context.folder
        if isinstance(error, StartError):
            exit_code = error.exit_code
            if self.log is None or self.log.closed:
                path = log_path(folder, self.name, self.state.restarts)
                self.log = LogWriter(path, time.time_ns, context.log_limit)
            self._write(f"{error}\n".encode(errors="replace"))
        elif isinstance(error, OSError):
            message = f"can't write in {folder}: {error.strerror}"
        else:
            message = f"the container's spec is invalid: {error}"
        self._set_terminated(exit_code, "StartError", started_at, started_at, message)
        if created is not None:
            await created.remove()

    async def exec(self, options: ExecOptions) -> ExecSession | None:
        """Start another command in the container; None when it does not run.

        Raises:
            StartError: it can't be started.
        """
        return None if self.running is None else await self.running.exec(options)

    async def run(self, argv: list[Any], keep: int) -> tuple[int, bytes]:
        """Run the command of a probe or hook in the container; it is killed if this is cancelled.

        Args:
            argv: as in the spec, with `$(NAME)` references.
            keep: bytes of its output that are returned.

        Returns:
            Its exit code and the beginning of its output.

        Raises:
            ConfigError: its references expand to too much.
            StartError: it can't be started.
        """
        if self.running is None:
            raise StartError("the container does not run")
        return await self.running.run([expand_variables(str(word), self._variables) for word in argv], keep)

    async def wait(self, timestamp: Callable[[], str]) -> int:
        """Wait for its end and record it in the state; returns the exit code."""
        ended, running = self.state.terminated, self.running
        if running is None:
            return ended.exit_code if ended is not None else -1
        started_at = self.state.running_since or timestamp()
        try:
            end = await running.wait()
        finally:
            self.running = None
            if self.log is not None:
                self.log.close()
        reason = "Completed" if end.code == 0 else "OOMKilled" if end.out_of_memory else "Error"
        message = self._read_termination_message(running, end.code)
        self._set_terminated(end.code, reason, started_at, timestamp(), message)
        await running.remove()
        return end.code

    def terminate(self) -> None:
        """Send SIGTERM; it is not restarted."""
        self.stop_requested = True
        if self.running is not None:
            self.running.terminate()

    def kill(self) -> None:
        """Send SIGKILL to all its processes; it is not restarted."""
        self.stop_requested = self._kill_requested = True
        if self.running is not None:
            self.running.kill()

    def terminate_within(self, seconds: float) -> None:
        """Send SIGTERM, and SIGKILL if it still runs after this many seconds; it may be restarted."""
        if self.running is not None:
            self.running.terminate()
            asyncio.get_running_loop().call_later(seconds, self.running.kill)

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

    def _read_termination_message(self, running: RuntimeContainer, code: int) -> str:
        message = running.termination_message()
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
