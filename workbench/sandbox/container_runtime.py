"""What runs the steps of an embedded sandbox: the user's choice, and what is there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from controller.files import write_private
from workbench.client.endpoint import SandboxError
from workbench.config.contexts import config_path
from workbench.config.preferences import RUNTIME_FILES, RUNTIMES, read_preferences
from workbench.daemon_thread import run_in_daemon_thread

if TYPE_CHECKING:
    from embedded.kubelet.runtime.engine.connection.files import EngineFiles
    from workbench.sandbox.paths import SandboxPaths

RUNTIME_ENV = "C8S_RUNTIME"
FILES_ENV = "C8S_RUNTIME_FILES"


@dataclass(frozen=True)
class SandboxRuntime:
    """What runs the steps of a sandbox, as it was chosen at its start."""

    name: str
    """`process`, `docker` or `podman`."""
    version: str = ""
    """Of the engine."""
    engine: str = ""
    """Its address; empty for processes."""
    reason: str = ""
    """Why no engine is used, where none was asked for by name."""

    files: str = "shared"
    """Whose disk has the files of steps: that of this machine, `shared` with the engine, or that of the `engine`."""
    agent_image: str = ""
    """Of the agent, where that is a container."""
    agent_host: str = ""
    """The name under which containers reach this machine, where the agent is one."""
    pod_hosts: str = ""
    """Entries of /etc/hosts that pods need for that, separated by commas."""
    gateway: str = ""
    """The address of this machine that this name leads to, if it is not the loopback address."""
    unswept: str = ""
    """Addresses of engines that were used before and may have containers left, one a line."""

    @property
    def uses_images(self) -> bool:
        return self.name != "process"

    def describe(self) -> str:
        """A sentence for the user."""
        if self.uses_images:
            where = f"{self.name} {self.version} ({self.engine})"
            whose = ", which has their files on a disk of its own" if self.files == "engine" else ""
            return f"steps run in their images, in {where}{whose}"
        why = f": {self.reason}" if self.reason else ""
        return f"steps run as processes of this machine, and their images are ignored{why}"


def wanted_runtime(given: str | None, environment: Mapping[str, str], configured: str | None) -> str:
    """What the user wants: an option, else C8S_RUNTIME, else the config file, else `auto`.

    Raises:
        SandboxError: the variable has another value.
    """
    chosen = given or environment.get(RUNTIME_ENV) or configured or "auto"
    if chosen not in RUNTIMES:
        raise SandboxError(f"{RUNTIME_ENV} is {chosen!r}; it must be one of {', '.join(RUNTIMES)}")
    return chosen


async def find_runtime(given: str | None) -> SandboxRuntime:
    """What would run the steps of a sandbox that is started now.

    Raises:
        SandboxError: it was asked for by name and does not answer.
    """
    configured = read_preferences(config_path()).runtime
    return await choose_runtime(wanted_runtime(given, os.environ, configured), None)


def wanted_files(environment: Mapping[str, str], configured: str | None) -> str:
    """Whose disk the user wants for the files of steps: C8S_RUNTIME_FILES, else the config file, else `auto`.

    Raises:
        SandboxError: the variable has another value.
    """
    chosen = environment.get(FILES_ENV) or configured or "auto"
    if chosen not in RUNTIME_FILES:
        raise SandboxError(f"{FILES_ENV} is {chosen!r}; it must be one of {', '.join(RUNTIME_FILES)}")
    return chosen


async def choose_runtime(
    wanted: str, data_dir: Path | None, files: str = "shared", progress: Callable[[str], None] = lambda _: None
) -> SandboxRuntime:
    """Find what was asked for.

    Args:
        data_dir: of a sandbox that is to be started: the engine must be able to use it; None does not check that.
        files: whose disk is to have the files of steps.

    Raises:
        SandboxError: it was asked for by name and can't be used.
    """
    if wanted == "process":
        return SandboxRuntime("process")
    from embedded.kubelet.runtime.engine.connection.detect import find_engine, prepare_engine
    from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError
    from workbench.sandbox.engine_agent import BASE_ENV, BASE_IMAGE, prepare_agent

    try:
        found = await run_in_daemon_thread(find_engine, wanted, os.environ, Path.home())
        if data_dir is not None:
            prepared = await run_in_daemon_thread(prepare_engine, found.address, data_dir, cast("EngineFiles", files))
            if prepared.has_own_files:
                base = os.environ.get(BASE_ENV) or BASE_IMAGE
                agent = await run_in_daemon_thread(prepare_agent, found, data_dir, base, progress)
                return SandboxRuntime(
                    found.info.name,
                    found.info.version,
                    str(found.address),
                    files="engine",
                    agent_image=agent.image,
                    agent_host=agent.host,
                    pod_hosts=",".join(agent.pod_hosts),
                    gateway=agent.gateway,
                )
    except RuntimeUnavailableError as error:
        if wanted == "auto":
            return SandboxRuntime("process", reason=str(error))
        raise SandboxError(
            f"the runtime {wanted} can't be used: {error}. `c8s doctor` says more; with `--runtime process` steps run "
            "as processes of this machine"
        ) from error
    return SandboxRuntime(found.info.name, found.info.version, str(found.address))


def write_runtime(folder: SandboxPaths, chosen: SandboxRuntime) -> None:
    write_private(folder.runtime_file, json.dumps(asdict(chosen), indent=1) + "\n")


def read_runtime(folder: SandboxPaths) -> SandboxRuntime:
    """What runs, or ran last, the steps of a sandbox; processes if nothing is known."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        raw: dict[str, Any] = json.loads(folder.runtime_file.read_text())
        return SandboxRuntime(**{name: str(raw[name]) for name in SandboxRuntime.__dataclass_fields__ if name in raw})
    return SandboxRuntime("process")


async def sweep(folder: SandboxPaths, progress: Callable[[str], None]) -> None:
    """End the processes and remove the containers that a sandbox has left that does not run: it may have been killed.

    What can't be removed now is tried again later; `progress` gets a warning.
    """
    from embedded.kubelet.runtime.leftovers import end_processes

    await run_in_daemon_thread(end_processes, folder.cluster_data)
    ran = read_runtime(folder)
    unswept = await sweep_engines(folder, progress)
    if unswept != ran.unswept:
        # On a full disk, the same engines are asked again the next time.
        with suppress(OSError):
            write_runtime(folder, replace(ran, unswept=unswept))


async def sweep_engines(folder: SandboxPaths, progress: Callable[[str], None], but: str = "") -> str:
    """Remove the containers of a sandbox that does not run from all engines that it has used.

    Args:
        but: the address of an engine that is not asked.

    Returns:
        The addresses of those that can't be asked now, one a line.
    """
    ran = read_runtime(folder)
    engines = dict.fromkeys(filter(None, (ran.engine, *ran.unswept.splitlines())))
    engines.pop(but, None)
    if not engines:
        return ""
    from embedded.kubelet.runtime.leftovers import remove_containers
    from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError

    left = []
    for engine in engines:
        try:
            await run_in_daemon_thread(remove_containers, engine, folder.cluster_data)
        except RuntimeUnavailableError as error:
            left.append(engine)
            progress(f"warning: containers of sandbox {folder.name} may be left: {error}")
    return "\n".join(left)
