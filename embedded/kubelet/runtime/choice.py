"""Chooses what runs containers: processes, or an engine that answers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from embedded.kubelet.config.environment import contained_environment, inherited_environment
from embedded.kubelet.runtime.engine.address import ENGINES, AddressError, EngineAddress, candidates
from embedded.kubelet.runtime.engine.client import EngineClient, EngineInfo
from embedded.kubelet.runtime.engine.credentials import login_files
from embedded.kubelet.runtime.engine.engine import Engine, has_cluster_id
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError
from embedded.kubelet.runtime.engine.runtime import EngineRuntime
from embedded.kubelet.runtime.interface import Runtime, RuntimeUnavailableError
from embedded.kubelet.runtime.process.cgroups import CgroupMode
from embedded.kubelet.runtime.process.runtime import ProcessRuntime

RuntimeName = Literal["process", "docker", "podman", "auto"]
RUNTIMES: tuple[RuntimeName, ...] = get_args(RuntimeName)

_FIND_TIMEOUT = 5.0


@dataclass(frozen=True)
class FoundEngine:
    """An engine that answers."""

    address: EngineAddress
    info: EngineInfo


async def find_engine(name: RuntimeName, environment: Mapping[str, str], home: Path) -> FoundEngine:
    """The engine of this name that answers; with `auto`, any.

    Raises:
        RuntimeUnavailableError: none does; the message says what was tried.
    """
    tried: list[str] = []
    for engine in ENGINES if name == "auto" else [each for each in ENGINES if each == name]:
        found = candidates(engine, environment, home)
        if not found:
            tried.append(f"{engine}: no socket")
        for text in found:
            try:
                address = EngineAddress.parse(text)
                async with EngineClient(address, _FIND_TIMEOUT) as client:
                    return FoundEngine(address, client.info)
            except (AddressError, EngineError, EngineUnreachableError) as error:
                tried.append(f"{engine}: {error}")
    raise RuntimeUnavailableError("no container engine answers: " + "; ".join(tried))


async def check_engine(address: EngineAddress, data_dir: Path) -> None:
    """Check that an engine can run the pods of a data folder.

    Raises:
        RuntimeUnavailableError: it can't; the message says why and what to do.
    """
    engine = Engine(EngineClient(address), data_dir.resolve(), ())
    try:
        await engine.open()
    finally:
        await engine.client.close()


@dataclass(frozen=True)
class EngineFacts:
    """What decides how well an engine runs pods."""

    rootless: bool
    cgroups: str
    """The version of the control groups, as the engine names it."""
    enforces_limits: bool
    disk_free: int | None
    """Bytes where it keeps images; None if that is not on this machine."""


async def read_facts(address: EngineAddress) -> EngineFacts:
    """What an engine says of itself.

    Raises:
        RuntimeUnavailableError: it does not answer.
    """
    try:
        async with EngineClient(address, _FIND_TIMEOUT) as client:
            system = await client.get("/info")
    except (EngineError, EngineUnreachableError) as error:
        raise RuntimeUnavailableError(str(error)) from error
    free: int | None = None
    with suppress(OSError):
        free = shutil.disk_usage(str(system.get("DockerRootDir") or "")).free
    return EngineFacts(
        rootless=any("rootless" in str(option) for option in system.get("SecurityOptions") or []),
        cgroups=str(system.get("CgroupVersion") or "1"),
        enforces_limits=bool(system.get("MemoryLimit")) and bool(system.get("CpuCfsQuota")),
        disk_free=free,
    )


async def remove_containers(address: str, data_dir: Path) -> None:
    """Remove the containers that a cluster which does not run any more has left in an engine.

    Raises:
        RuntimeUnavailableError: the engine can't be asked.
    """
    if not has_cluster_id(data_dir.resolve()):
        return
    try:
        async with EngineClient(EngineAddress.parse(address), _FIND_TIMEOUT) as client:
            await Engine(client, data_dir.resolve(), ()).remove_all()
    except (AddressError, EngineError, EngineUnreachableError) as error:
        raise RuntimeUnavailableError(str(error)) from error


def process_runtime(data_dir: Path, cgroup_mode: CgroupMode = "auto") -> ProcessRuntime:
    """The runtime whose containers are processes, for the pods of a data folder."""
    pods = str(data_dir.resolve() / "pods")
    return ProcessRuntime({**inherited_environment(os.environ), **contained_environment(pods)}, cgroup_mode)


def engine_runtime(
    address: EngineAddress, data_dir: Path, processes: Runtime, process_commands: Sequence[Sequence[str]]
) -> EngineRuntime:
    """The runtime of an engine, for the pods of a data folder.

    Args:
        processes: runs the containers whose commands begin with one of `process_commands`.

    Raises:
        OSError: the identity of the cluster can't be stored in its folder.
    """
    engine = Engine(EngineClient(address), data_dir.resolve(), login_files(os.environ, Path.home()))
    return EngineRuntime(engine, processes, process_commands)
