"""An engine, as the pods of one cluster use it: its client and images, the labels of what is ours."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from embedded.kubelet.runtime.engine import ownership
from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.detect import EngineFacts, prepare_engine
from embedded.kubelet.runtime.engine.connection.files import EngineFiles
from embedded.kubelet.runtime.engine.containers.container import remove_container
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError
from embedded.kubelet.runtime.engine.identity import CLUSTER_LABEL, cluster_labels
from embedded.kubelet.runtime.engine.images.store import ImageStore
from embedded.kubelet.runtime.engine.pause.program import PROGRAM
from embedded.kubelet.runtime.engine.pod_volume import PodVolume
from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError

Json = dict[str, Any]
_log = logging.getLogger(__name__)


class Engine:
    """One engine for one cluster.

    Args:
        data_dir: of the cluster; its identity, which the labels carry, is kept there.
        files: whose disk has the files of pods.
        hosts: entries of /etc/hosts in all pods, `name:address`.
        held_images: images that nobody may remove as long as this is open.
    """

    def __init__(
        self,
        client: EngineClient,
        data_dir: Path,
        login_files: Sequence[Path],
        files: EngineFiles = "shared",
        hosts: Sequence[str] = (),
        held_images: Sequence[str] = (),
    ) -> None:
        self.client = client
        self.images = ImageStore(client, login_files)
        self.pause_image = ""
        self.security: tuple[str, ...] = ()
        """Security options that every container needs here."""
        self.facts = EngineFacts()
        """What decides how well it runs pods; known from `open` on."""
        self.has_own_files = False
        """Whether the files of pods are on the engine's disk; known from `open` on."""
        self.reaches_pods = False
        """Whether this machine is connected with the network of pods; known from `open` on."""
        self.hosts = tuple(hosts)
        self._files = files
        self._held_images = held_images
        self._holders: list[str] = []
        """Identifiers of containers that are never started: engines keep the image of each container."""
        self._data_dir = data_dir
        self._labels = cluster_labels(data_dir)

    async def open(self) -> None:
        """Connect, and make sure that the engine can run the pods of this cluster.

        Raises:
            RuntimeUnavailableError: it can't.
        """
        prepared = await asyncio.to_thread(prepare_engine, self.client.address, self._data_dir, self._files)
        try:
            await self.client.open()
            for image in self._held_images:
                self._holders.append(await self._hold(image))
        except (EngineError, EngineUnreachableError) as error:
            await self.close()
            raise RuntimeUnavailableError(str(error)) from error
        self.pause_image, self.facts = prepared.pause_image, prepared.facts
        self.has_own_files, self.reaches_pods = prepared.has_own_files, prepared.reaches_pods
        if self.facts.selinux:
            # Volumes are folders of the user, whose labels are not changed.
            self.security = ("label=disable",)

    async def _hold(self, image: str) -> str:
        body = {"Image": image, "Entrypoint": [PROGRAM], "Labels": self._labels, "HostConfig": {"NetworkMode": "none"}}
        return str((await self.client.post("/containers/create", body))["Id"])

    async def close(self) -> None:
        """Disconnect; what `open` has made is removed."""
        while self._holders:
            await remove_container(self.client, self._holders.pop())
        await self.client.close()

    def pod_labels(self, pod: Json) -> Mapping[str, str]:
        """The labels of a pod's containers: those of this cluster, and those that kubelets set."""
        metadata = pod["metadata"]
        return {
            **self._labels,
            "io.kubernetes.pod.name": str(metadata["name"]),
            "io.kubernetes.pod.namespace": str(metadata["namespace"]),
            "io.kubernetes.pod.uid": str(metadata["uid"]),
        }

    def container_name(self, pod: Json, container: str, restarts: int) -> str:
        """A name that no other start of a container has, in this cluster or another one."""
        metadata = pod["metadata"]
        names = ("c8s", container, metadata["name"], metadata["namespace"], metadata["uid"])
        return "_".join((*names, self._labels[CLUSTER_LABEL][:8], str(restarts)))

    def volume(self, pod: Json, folder: Path) -> PodVolume:
        """The volume of a pod in an engine that has files of its own."""
        name = f"c8s_{pod['metadata']['uid']}_{self._labels[CLUSTER_LABEL][:8]}"
        return PodVolume(self.client, name, self.pod_labels(pod), folder)

    async def create(self, name: str, body: Json) -> str:
        """Create a container; returns its identifier. One of ours with this name is what an earlier attempt left.

        Raises:
            EngineError, EngineUnreachableError: it can't be created.
        """
        path = f"/containers/create?name={quote(name)}"
        try:
            return str((await self.client.post(path, body))["Id"])
        except EngineError as error:
            # Podman answers 500.
            is_taken = error.status == 409 or "already in use" in str(error)
            if not is_taken or not await self._is_ours(name):
                raise
        await remove_container(self.client, name)
        return str((await self.client.post(path, body))["Id"])

    async def _is_ours(self, name: str) -> bool:
        """Whether a container belongs to this cluster."""
        try:
            found = await self.client.get(f"/containers/{quote(name)}/json")
        except EngineError:
            return False
        labels = (found.get("Config") or {}).get("Labels") or {}
        return bool(labels.get(CLUSTER_LABEL) == self._labels[CLUSTER_LABEL])

    async def take_over(self, folder: Path) -> None:
        """Make what containers left in a folder readable and removable for this process; a failure is logged."""
        if (
            self.has_own_files
            or not ownership.is_needed()
            or not await asyncio.to_thread(ownership.has_foreign_files, folder)
        ):
            return
        options = {"Labels": self._labels, "SecurityOpt": list(self.security)}
        try:
            await ownership.take_over(self.client, self.pause_image, folder, options, rootless=self.facts.rootless)
        except (EngineError, EngineUnreachableError) as error:
            _log.error("files that containers left in %s can't be read or removed: %s", folder, error)

    async def remove_all(self) -> int:
        """Remove all containers and volumes of this cluster's pods; returns how many containers ran."""
        return await remove_labelled(self.client, f"{CLUSTER_LABEL}={self._labels[CLUSTER_LABEL]}", self._holders)


async def list_labelled(client: EngineClient, label: str) -> list[Json]:
    """All containers with a label (`name=value`), as GET /containers/json gives them.

    Raises:
        EngineError, EngineUnreachableError: they can't be listed.
    """
    found = await client.get("/containers/json", all="1", filters=json.dumps({"label": [label]}))
    return list(found or [])


async def list_volumes(client: EngineClient, label: str) -> list[str]:
    """The names of all volumes with a label (`name=value`).

    Raises:
        EngineError, EngineUnreachableError: they can't be listed.
    """
    found = await client.get("/volumes", filters=json.dumps({"label": [label]}))
    return [str(each["Name"]) for each in (found or {}).get("Volumes") or []]


async def remove_labelled(client: EngineClient, label: str, kept: Sequence[str] = ()) -> int:
    """Remove all containers and volumes with a label (`name=value`); returns how many containers ran.

    Args:
        kept: identifiers of containers that stay.

    Raises:
        EngineError, EngineUnreachableError: they can't be listed.
    """
    found = [each for each in await list_labelled(client, label) if each["Id"] not in kept]
    await asyncio.gather(*(remove_container(client, str(each["Id"])) for each in found))
    for name in await list_volumes(client, label):
        await client.delete(f"/volumes/{quote(name)}", force="1")
    return sum(each.get("State") == "running" for each in found)
