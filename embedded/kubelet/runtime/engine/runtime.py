"""The runtime whose containers run in their images, in an engine.

Containers whose command is one of the cluster's own programs are processes of this machine all the same: they bring
files to volumes and take them from there, and reach what listens on this machine.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from embedded.kubelet.runtime.engine.engine import Engine
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError
from embedded.kubelet.runtime.engine.pod import EnginePod
from embedded.kubelet.runtime.interface import PodSandbox, Runtime
from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError

Json = dict[str, Any]


class EngineRuntime:
    """See `embedded.kubelet.runtime.interface.Runtime`.

    Args:
        processes: runs the containers that are processes of this machine.
        process_commands: the first words of their commands.
    """

    uses_images = True

    def __init__(self, engine: Engine, processes: Runtime, process_commands: Sequence[Sequence[str]]) -> None:
        self._engine = engine
        self._processes = processes
        self._process_commands = [list(words) for words in process_commands]

    @property
    def version(self) -> str:
        return self._engine.client.info.runtime_version

    @property
    def enforces_limits(self) -> bool:
        return self._engine.facts.enforces_limits

    @property
    def limits_reason(self) -> str:
        where = f"{self._engine.client.info.name} at {self._engine.client.address}"
        return f"limits are enforced by {where}" if self.enforces_limits else f"{where} has no cgroups for that"

    @property
    def capacity(self) -> Mapping[str, Decimal]:
        facts = self._engine.facts
        return {"cpu": Decimal(facts.cores), "memory": Decimal(facts.memory)}

    async def open(self) -> None:
        """See `Runtime`."""
        await self._engine.open()
        await self._processes.open()

    async def close(self) -> None:
        """See `Runtime`."""
        await self._engine.close()
        await self._processes.close()

    def pod(self, sandbox: PodSandbox) -> EnginePod:
        """See `Runtime`."""
        return EnginePod(self._engine, sandbox, self._processes.pod(sandbox), self._is_process)

    def _is_process(self, container: Json) -> bool:
        """Whether a container is a process of this machine, by the first words of its command.

        None is where the engine has files of its own: it would not get at them.
        """
        if self._engine.has_own_files:
            return False
        command = [str(word).replace("$$", "$") for word in container.get("command") or []]
        return any(command[: len(words)] == words for words in self._process_commands)

    async def kill_leftovers(self, uids: Collection[str]) -> int:
        """See `Runtime`."""
        try:
            containers = await self._engine.remove_all()
        except (EngineError, EngineUnreachableError) as error:
            raise RuntimeUnavailableError(str(error)) from error
        return containers + await self._processes.kill_leftovers(uids)

    def collect(self) -> None:
        """See `Runtime`."""
        self._processes.collect()

    async def take_over(self, folder: Path) -> None:
        """See `Runtime`."""
        await self._engine.take_over(folder)

    def unsupported_reason(self, container: Json) -> tuple[str, str] | None:
        """See `Runtime`."""
        if not container.get("image") and not self._is_process(container):
            return "InvalidImageName", f"container {container['name']} names no image"
        return None
