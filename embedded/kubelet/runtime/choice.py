"""Makes what runs the containers of a cluster: processes, or an engine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from embedded.kubelet.config.environment import contained_environment, inherited_environment
from embedded.kubelet.runtime.engine.connection.address import EngineAddress
from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.files import EngineFiles
from embedded.kubelet.runtime.engine.engine import Engine
from embedded.kubelet.runtime.engine.images.credentials import login_files
from embedded.kubelet.runtime.engine.runtime import EngineRuntime
from embedded.kubelet.runtime.interface import Runtime
from embedded.kubelet.runtime.process.cgroups import CgroupMode
from embedded.kubelet.runtime.process.runtime import ProcessRuntime

RuntimeName = Literal["process", "docker", "podman", "auto"]
RUNTIMES: tuple[RuntimeName, ...] = get_args(RuntimeName)


def process_runtime(data_dir: Path, cgroup_mode: CgroupMode = "auto") -> ProcessRuntime:
    """The runtime whose containers are processes, for the pods of a data folder."""
    pods = str(data_dir.resolve() / "pods")
    return ProcessRuntime({**inherited_environment(os.environ), **contained_environment(pods)}, cgroup_mode)


def engine_runtime(
    address: EngineAddress,
    data_dir: Path,
    processes: Runtime,
    process_commands: Sequence[Sequence[str]],
    files: EngineFiles = "shared",
    hosts: Sequence[str] = (),
    held_images: Sequence[str] = (),
) -> EngineRuntime:
    """The runtime of an engine, for the pods of a data folder.

    Args:
        processes: runs the containers whose commands begin with one of `process_commands`.
        files: whose disk has the files of pods.
        hosts: entries of /etc/hosts in all pods, `name:address`.
        held_images: images that nobody may remove meanwhile.

    Raises:
        OSError: the identity of the cluster can't be stored in its folder.
    """
    logins = login_files(os.environ, Path.home())
    engine = Engine(EngineClient(address), data_dir.resolve(), logins, files, hosts, held_images)
    return EngineRuntime(engine, processes, process_commands)
