"""One start of a container as processes of this machine.

Nothing is mounted: a container finds a volume because values that begin with its mount path are rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from embedded.api.interfaces import ExecOptions
from embedded.kubelet.config.downward_api import LOOPBACK
from embedded.kubelet.config.environment import expand_variables
from embedded.kubelet.config.mounts import PathMap
from embedded.kubelet.runtime.dial import Connection, dial
from embedded.kubelet.runtime.interface import ContainerExit, Launch, PodSandbox, StartError, Usage
from embedded.kubelet.runtime.process import orphans
from embedded.kubelet.runtime.process.cgroups import ContainerCgroup
from embedded.kubelet.runtime.process.exec_session import ProcessExecSession
from embedded.kubelet.runtime.process.process import Command, Process
from embedded.kubelet.runtime.process.usage import tree_usage
from embedded.kubelet.runtime.termination_message import TerminationMessage

Json = dict[str, Any]

SCHEME = "process://"


class ProcessContainer:
    """See `embedded.kubelet.runtime.interface.RuntimeContainer`.

    Raises:
        ConfigError: its variables expand to too much.
        OSError: the working directory or the file of its termination message can't be created.
    """

    address = LOOPBACK
    image_id = ""

    def __init__(
        self, launch: Launch, sandbox: PodSandbox, inherited: Mapping[str, str], cgroup: ContainerCgroup | None
    ) -> None:
        self.id = f"{SCHEME}{sandbox.uid}/{launch.name}/{launch.restarts}"
        self._launch = launch
        self._paths = PathMap(launch.mounts)
        self._message = TerminationMessage.of(launch.spec, launch.mounts, sandbox.folder)
        self._cgroup = cgroup
        self._process: Process | None = None
        self._sessions: set[ProcessExecSession] = set()
        self._command = self._build_command(sandbox, inherited)

    def _build_command(self, sandbox: PodSandbox, inherited: Mapping[str, str]) -> Command:
        """Its command with its variables, paths and working directory."""
        spec, values, paths = self._launch.spec, self._launch.variables, self._paths
        rewrite = self._message.rewrite
        environment = {**inherited, **{name: rewrite(paths.map(value)) for name, value in values.items()}}
        words = [*(spec.get("command") or []), *(spec.get("args") or [])]
        argv = [rewrite(paths.map(expand_variables(str(word), values))) for word in words]
        requested = spec.get("workingDir") or ""
        cwd = paths.map(requested) or str(sandbox.folder / "root")
        if cwd != requested:
            # A container runtime creates a missing working directory; outside the pod's folder nothing is created.
            Path(cwd).mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = f"{sandbox.uid}/{self._launch.name}"
        return Command(argv, environment, cwd, owner, str(sandbox.folder), self._cgroup)

    async def start(self, sink: Callable[[bytes], None]) -> None:
        """See `RuntimeContainer`."""
        self._process = Process(self._command, sink)

    async def wait(self) -> ContainerExit:
        """See `RuntimeContainer`."""
        if self._process is None:
            raise RuntimeError(f"{self.id} was not started")
        try:
            code = await self._process.wait()
        finally:
            self._process = None
            await self._end_sessions()
        return ContainerExit(code, code != 0 and self._cgroup is not None and self._cgroup.killed_for_memory())

    async def _end_sessions(self) -> None:
        """Kill the commands of `kubectl exec`: they end with the container."""
        if not self._sessions:
            return
        sessions = list(self._sessions)
        for session in sessions:
            session.kill()
        for session in sessions:
            await session.wait()
        await orphans.end_detached(orphans.ProcessOwnership(self._command.owner))

    def terminate(self) -> None:
        """See `RuntimeContainer`."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """See `RuntimeContainer`."""
        if self._process is not None:
            self._process.kill()

    async def exec(self, options: ExecOptions) -> ProcessExecSession:
        """See `RuntimeContainer`."""
        if self._process is None:
            raise StartError("the container does not run")
        argv = [self._paths.map(word) for word in options.command]
        session = ProcessExecSession(replace(self._command, argv=argv), options)
        self._sessions.add(session)
        session.add_done_callback(lambda: self._sessions.discard(session))
        return session

    async def run(self, argv: list[str], keep: int) -> tuple[int, bytes]:
        """See `RuntimeContainer`. Processes that the command detaches keep running: they have another owner."""
        output = bytearray()

        def collect(data: bytes) -> None:
            output.extend(data[: max(0, keep - len(output))])

        mapped = [self._message.rewrite(self._paths.map(word)) for word in argv]
        command = replace(self._command, argv=mapped, owner=f"{self._command.owner}.probe", folder="")
        code = await Process(command, sink=collect).wait()
        return code, bytes(output)

    def connect(self, port: int) -> AbstractAsyncContextManager[Connection]:
        """See `RuntimeContainer`."""
        return dial(LOOPBACK, port)

    async def usage(self) -> Usage | None:
        """See `RuntimeContainer`."""
        if self._process is None:
            return None
        return (self._cgroup.usage() if self._cgroup is not None else None) or tree_usage(self._process.pid)

    def termination_message(self) -> bytes:
        """See `RuntimeContainer`."""
        return self._message.read()

    async def remove(self) -> None:
        """See `RuntimeContainer`."""
        if self._cgroup is not None:
            self._cgroup.close()
            self._cgroup = None
