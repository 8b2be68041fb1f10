"""One container of a pod: its process, its log, its state, and its restarts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.runner.environment import ConfigError, Lookup, container_environment, expand
from embedded.runner.logs import LogFile
from embedded.runner.process import Process, StartError
from embedded.runner.status import ContainerState, Terminated
from embedded.runner.volumes import PathMap

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_NOT_FOUND, _NOT_STARTED = 127, 128


@dataclass(frozen=True)
class Surroundings:
    """What a container's pod gives it."""

    pod: Json
    folder: Path
    inherited: Mapping[str, str]
    volumes: Mapping[str, Path]
    secret: Lookup
    config_map: Lookup
    stamp: Callable[[], str]


class Container:
    """A container and how it is doing. Starts processes; decides nothing about when."""

    def __init__(self, spec: Json, waiting: str) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.state = ContainerState(waiting=(waiting, ""))
        self.log: LogFile | None = None
        self.process: Process | None = None
        self.environment: dict[str, str] = {}
        self.told_to_end = False

    def start(self, around: Surroundings) -> bool:
        """Start the process; False when that can't be done, and the state says why (waiting, or terminated).

        A missing Secret or ConfigMap leaves it waiting: it may come.
        """
        state = self.state
        try:
            values = container_environment(self.spec, around.pod, around.secret, around.config_map)
        except ConfigError as error:
            state.waiting = ("CreateContainerConfigError", str(error))
            return False
        paths = PathMap.of(self.spec, dict(around.volumes))
        environment = dict(around.inherited) | {name: paths.map(value) for name, value in values.items()}
        argv = [
            paths.map(expand(str(word), values))
            for word in [*(self.spec.get("command") or []), *(self.spec.get("args") or [])]
        ]
        cwd = paths.map(self.spec.get("workingDir") or "")
        if not cwd:
            cwd = str(around.folder / "root")
            Path(cwd).mkdir(mode=0o700, exist_ok=True)
        uid = around.pod["metadata"]["uid"]
        state.container_id = f"process://{uid}/{self.name}/{state.restarts}"
        self.environment = environment
        self.log = LogFile(log_path(around.folder, self.name, state.restarts), time.time_ns)
        began = around.stamp()
        try:
            self.process = Process(argv, environment=environment, cwd=cwd, mark=f"{uid}/{self.name}", sink=self._write)
        except StartError as error:
            code = _NOT_FOUND if "not found" in str(error) else _NOT_STARTED
            self._write(f"{error}\n".encode())
            self._ended(code, "StartError", began, began, str(error))
            return False
        state.running_since, state.terminated = began, None
        state.started = "startupProbe" not in self.spec
        return True

    async def wait(self, stamp: Callable[[], str]) -> int:
        """Wait for the end of the process and take note of it; returns the exit code."""
        assert self.process is not None
        began = self.state.running_since or stamp()
        code = await self.process.wait()
        self.process = None
        self._ended(code, "Completed" if code == 0 else "Error", began, stamp())
        return code

    def terminate(self) -> None:
        self.told_to_end = True
        if self.process is not None:
            self.process.terminate()

    def kill(self) -> None:
        self.told_to_end = True
        if self.process is not None:
            self.process.kill()

    def prepare_restart(self) -> None:
        """Put the end behind it, as the state before the next start."""
        state = self.state
        state.last, state.terminated, state.running_since = state.terminated, None, None
        state.started = False
        state.restarts += 1
        state.waiting = ("CrashLoopBackOff", "")

    def _ended(self, code: int, reason: str, began: str, finished: str, message: str = "") -> None:
        self.state.terminated = Terminated(code, reason, began, finished, message, self.state.container_id)
        self.state.started = False
        if self.log is not None:
            self.log.close()

    def _write(self, data: bytes) -> None:
        if self.log is None or self.log.closed:
            return
        try:
            self.log.write(data)
        except OSError as error:
            # A full disk: the step goes on, and what it printed is missing from its log; say so where it can be seen.
            _log.error("container %s: %d bytes of output are lost: %s", self.name, len(data), error)


def log_path(folder: Path, container: str, restart: int) -> Path:
    return folder / "logs" / container / f"{restart}.log"
