"""The runtime whose containers are processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from embedded.kubelet.config.downward_api import LOOPBACK
from embedded.kubelet.runtime.interface import Image, ImageError, Launch, PodSandbox, StartError
from embedded.kubelet.runtime.process import cgroups, orphans
from embedded.kubelet.runtime.process.cgroups import CgroupError, CgroupMode, Cgroups
from embedded.kubelet.runtime.process.container import SCHEME, ProcessContainer

Json = dict[str, Any]


class ProcessRuntime:
    """See `embedded.kubelet.runtime.interface.Runtime`.

    Args:
        inherited: environment variables that every container starts from.
    """

    version = f"{SCHEME}0.1"
    uses_images = False

    def __init__(self, inherited: Mapping[str, str], cgroup_mode: CgroupMode) -> None:
        self._inherited = inherited
        self._cgroup_mode = cgroup_mode
        self._cgroups = Cgroups({}, "the kubelet has not started")
        self.capacity = {"cpu": Decimal(os.cpu_count() or 1), "memory": Decimal(_memory_bytes())}

    @property
    def enforces_limits(self) -> bool:
        return self._cgroups.enforced

    @property
    def limits_reason(self) -> str:
        return self._cgroups.reason

    async def open(self) -> None:
        """See `Runtime`."""
        orphans.become_subreaper()
        self._cgroups = cgroups.detect(self._cgroup_mode)

    async def close(self) -> None:
        """See `Runtime`."""
        self._cgroups.close()

    def pod(self, sandbox: PodSandbox) -> ProcessPod:
        """See `Runtime`."""
        return ProcessPod(sandbox, self._inherited, self._cgroups)

    async def kill_leftovers(self, uids: Collection[str]) -> int:
        """See `Runtime`."""
        return orphans.kill_orphans(uids)

    async def take_over(self, folder: Path) -> None:
        """See `Runtime`. Processes have the user of the cluster."""

    def collect(self) -> None:
        """Reap adopted processes that have ended; those of a running container would otherwise accumulate."""
        orphans.reap()

    def unsupported_reason(self, container: Json) -> tuple[str, str] | None:
        """See `Runtime`."""
        if container.get("command") or container.get("args"):
            return None
        why = "it has no command, and images are not used here: give the container a command or args"
        return "ImageNotUsed", f"container {container['name']} can't run: {why}"


class ProcessPod:
    """See `embedded.kubelet.runtime.interface.PodRuntime`."""

    address = LOOPBACK

    def __init__(self, sandbox: PodSandbox, inherited: Mapping[str, str], groups: Cgroups) -> None:
        self._sandbox = sandbox
        self._inherited = inherited
        self._cgroups = groups

    def needs_image(self, container: Json) -> bool:
        """See `PodRuntime`."""
        return False

    async def find_image(self, image: str) -> Image | None:
        """See `PodRuntime`. No container needs one."""
        return None

    async def pull_image(self, image: str, secrets: list[Json]) -> Image:
        """See `PodRuntime`."""
        raise ImageError("ErrImagePull", f"{image} can't be pulled: images are not used here")

    async def prepare(self) -> None:
        """See `PodRuntime`. Nothing belongs to a pod but its containers."""

    async def create(self, launch: Launch) -> ProcessContainer:
        """See `PodRuntime`."""
        try:
            cgroup = self._cgroups.create(launch.spec, f"{self._sandbox.uid}-{launch.name}")
        except CgroupError as error:
            raise StartError(str(error)) from error
        try:
            return ProcessContainer(launch, self._sandbox, self._inherited, cgroup)
        except Exception:
            if cgroup is not None:
                cgroup.close()
            raise

    async def close(self) -> None:
        """See `PodRuntime`. Nothing belongs to a pod but its containers."""


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0
