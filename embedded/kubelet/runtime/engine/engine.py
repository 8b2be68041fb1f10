"""An engine, as the pods of one cluster use it: its client and images, the labels of what is ours."""

from __future__ import annotations

import asyncio
import json
import logging
import platform
import secrets
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from embedded.kubelet.runtime.engine import ownership, pause
from embedded.kubelet.runtime.engine.client import EngineClient
from embedded.kubelet.runtime.engine.container import remove_container
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError
from embedded.kubelet.runtime.engine.images import ImageStore
from embedded.kubelet.runtime.interface import RuntimeUnavailableError

Json = dict[str, Any]
_log = logging.getLogger(__name__)

CLUSTER_LABEL = "io.c8s.cluster"
_DATA_LABEL = "io.c8s.data-dir"
_CHECKED = "/checked"
_ID_FILE = "cluster-id"


class Engine:
    """One engine for one cluster.

    Args:
        data_dir: of the cluster; its identity, which the labels carry, is kept there.
    """

    def __init__(self, client: EngineClient, data_dir: Path, login_files: Sequence[Path]) -> None:
        self.client = client
        self.images = ImageStore(client, login_files)
        self.pause_image = ""
        self.security: tuple[str, ...] = ()
        """Security options that every container needs here."""
        self.system: Mapping[str, Any] = {}
        """What the engine says of the machine that it runs on."""
        self._data_dir = data_dir
        self._labels = {CLUSTER_LABEL: cluster_id(data_dir), _DATA_LABEL: str(data_dir)}
        self._rootless = False

    async def open(self) -> None:
        """Connect, make the image that holds networks, and check that the engine sees the files of this machine.

        Raises:
            RuntimeUnavailableError: it can't be used.
        """
        try:
            await self.client.open()
            self.system = await self.client.get("/info")
            options = [str(option) for option in self.system.get("SecurityOptions") or []]
            self._rootless = any("rootless" in option for option in options)
            if any("selinux" in option for option in options):
                # Volumes are folders of the user, whose labels are not changed.
                self.security = ("label=disable",)
            self._check_kernel()
            await self._make_pause_image()
            await self._check_files()
        except (EngineError, EngineUnreachableError) as error:
            raise RuntimeUnavailableError(f"{error}. Check it with `c8s doctor`") from error

    def _check_kernel(self) -> None:
        """Check that containers share the kernel of this machine: pipes in volumes connect nothing otherwise."""
        theirs, ours = str(self.system.get("KernelVersion") or ""), platform.release()
        if sys.platform != "linux" or theirs != ours:
            raise RuntimeUnavailableError(
                f"the engine at {self.client.address} runs in another machine (kernel {theirs or 'unknown'}, here "
                f"{ours}), such as the virtual machine of Docker Desktop: its containers can't use pipes and sockets "
                "in volumes together with processes of this machine. Use an engine of this machine's own, or kind"
            )

    async def _make_pause_image(self) -> None:
        architecture = str(self.system.get("Architecture", ""))
        content = pause.program(architecture)
        if content is None:
            raise RuntimeUnavailableError(
                f"the engine at {self.client.address} runs on {architecture or 'an unknown architecture'}; "
                "supported are x86_64 and arm64"
            )
        tag = pause.image_tag(content)
        found = await self.images.find(tag)
        if found is None:
            # Podman ignores the parameter `tag` here.
            query = {"fromSrc": "-", "repo": tag}
            await self.client.request("POST", "/images/create", query, pause.root_file_system(content))
            found = await self.images.find(tag)
        if found is None:
            raise RuntimeUnavailableError(f"the engine at {self.client.address} does not keep the image {tag}")
        # Podman would look for the name in Docker's registry.
        self.pause_image = found.id

    async def _check_files(self) -> None:
        """Check that a folder of this machine is the same for the engine, which may be in another machine."""
        folder = self._data_dir / "engine-check"
        folder.mkdir(mode=0o700, exist_ok=True)
        name = secrets.token_hex(8)
        try:
            await asyncio.to_thread((folder / name).touch)
            mount = {"Type": "bind", "Source": str(folder), "Target": _CHECKED, "ReadOnly": True}
            body = {"Image": self.pause_image, "Entrypoint": [pause.PROGRAM], "Labels": self._labels}
            body |= {"HostConfig": {"Mounts": [mount], "NetworkMode": "none"}}
            try:
                identifier = str((await self.client.post("/containers/create", body))["Id"])
            except EngineError as error:
                raise self._blind(str(error)) from error
            try:
                await self.client.request("HEAD", f"/containers/{identifier}/archive", {"path": f"{_CHECKED}/{name}"})
            except EngineError as error:
                raise self._blind("a file that was made there is not found by it") from error
            finally:
                await remove_container(self.client, identifier)
        finally:
            (folder / name).unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()

    def _blind(self, why: str) -> RuntimeUnavailableError:
        return RuntimeUnavailableError(
            f"the engine at {self.client.address} does not see the folder {self._data_dir} of this machine: {why}. "
            "Share the folder with the engine's virtual machine (in Docker Desktop: Settings, Resources, File sharing)"
        )

    def pod_labels(self, pod: Json) -> Mapping[str, str]:
        """The labels of a pod's containers: those of this cluster, and those that kubelets set."""
        metadata = pod["metadata"]
        return {
            **self._labels,
            "io.kubernetes.pod.name": str(metadata["name"]),
            "io.kubernetes.pod.namespace": str(metadata["namespace"]),
            "io.kubernetes.pod.uid": str(metadata["uid"]),
        }

    async def create(self, name: str, body: Json) -> str:
        """Create a container; returns its identifier. One of this name is what an earlier attempt left.

        Raises:
            EngineError, EngineUnreachableError: it can't be created.
        """
        path = f"/containers/create?name={quote(name)}"
        try:
            return str((await self.client.post(path, body))["Id"])
        except EngineError as error:
            if error.status != 409:
                raise
        await remove_container(self.client, name)
        return str((await self.client.post(path, body))["Id"])

    async def take_over(self, folder: Path) -> None:
        """Make what containers left in a folder readable and removable for this process; a failure is logged."""
        if not ownership.is_needed() or not await asyncio.to_thread(ownership.has_foreign_files, folder):
            return
        options = {"Labels": self._labels, "SecurityOpt": list(self.security)}
        try:
            await ownership.take_over(self.client, self.pause_image, folder, options, rootless=self._rootless)
        except (EngineError, EngineUnreachableError) as error:
            _log.error("files that containers left in %s can't be read or removed: %s", folder, error)

    async def remove_all(self) -> int:
        """Remove all containers of this cluster; returns how many ran."""
        return await remove_labelled(self.client, f"{CLUSTER_LABEL}={self._labels[CLUSTER_LABEL]}")


async def list_labelled(client: EngineClient, label: str) -> list[Json]:
    """All containers with a label (`name=value`), as GET /containers/json gives them.

    Raises:
        EngineError, EngineUnreachableError: they can't be listed.
    """
    found = await client.get("/containers/json", all="1", filters=json.dumps({"label": [label]}))
    return list(found or [])


async def remove_labelled(client: EngineClient, label: str) -> int:
    """Remove all containers with a label (`name=value`); returns how many ran.

    Raises:
        EngineError, EngineUnreachableError: they can't be listed.
    """
    found = await list_labelled(client, label)
    await asyncio.gather(*(remove_container(client, str(each["Id"])) for each in found))
    return sum(each.get("State") == "running" for each in found)


def has_cluster_id(data_dir: Path) -> bool:
    """Whether an engine has been used for this data."""
    return (data_dir / _ID_FILE).exists()


def cluster_id(data_dir: Path) -> str:
    """The identity of the cluster whose data this is; made at its first start.

    Raises:
        OSError: it can't be stored.
    """
    file = data_dir / _ID_FILE
    with suppress(OSError):
        if (known := file.read_text().strip()).isalnum():
            return known
    file.write_text(secrets.token_hex(16))
    return file.read_text().strip()
