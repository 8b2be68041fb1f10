"""A pod's folder as a volume of the engine, for engines that do not see the files of this machine.

What the kubelet has prepared (Secrets, ConfigMaps, empty folders) is sent through the API. Containers get parts of the
volume by their place on the engine's own disk, as they otherwise get parts of the pod's folder.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.errors import EngineError

Json = dict[str, Any]

TARGET = "/pod"
"""Where the container that stays as long as the pod has the volume."""
_MAX_MESSAGE = 4096
_BLOCK = 512


class PodVolume:
    """The volume of one pod.

    Args:
        folder: of the pod, on this machine.
    """

    def __init__(self, client: EngineClient, name: str, labels: Mapping[str, str], folder: Path) -> None:
        self._client = client
        self._name = name
        self._labels = labels
        self._folder = folder
        self._root = ""
        """Its place on the engine's disk."""

    @property
    def mount(self) -> Json:
        """As in the request for a container that has all of it."""
        return {"Type": "volume", "Source": self._name, "Target": TARGET, "VolumeOptions": {"NoCopy": True}}

    async def create(self) -> None:
        """Make it, unless it is there. Raises EngineError, EngineUnreachableError."""
        made = await self._client.post("/volumes/create", {"Name": self._name, "Labels": dict(self._labels)})
        self._root = str(made["Mountpoint"])

    def locate(self, path: Path) -> str:
        """The place on the engine's disk of what is in the pod's folder."""
        return f"{self._root}/{self._inside(path)}"

    async def send(self, container: str, paths: Iterable[Path]) -> None:
        """Send files and folders of the pod's folder with all that is in them; what is there is replaced.

        Args:
            container: one that has the volume.

        Raises:
            EngineError, EngineUnreachableError: the engine does not take them.
            OSError: they can't be read.
        """
        content = await asyncio.to_thread(self._pack, list(paths))
        await self._client.request("PUT", f"/containers/{container}/archive", {"path": TARGET}, content)

    def _pack(self, paths: list[Path]) -> bytes:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path in paths:
                tar.add(path, self._inside(path), filter=_as_root)
        return archive.getvalue()

    async def fetch(self, container: str, path: Path) -> bytes:
        """The beginning of a file that a container has written; empty if it is none, or a link.

        Raises:
            EngineError, EngineUnreachableError: the engine does not hand it out.
        """
        place = f"{TARGET}/{self._inside(path)}"
        try:
            data = await self._client.read(f"/containers/{container}/archive", {"path": place}, _BLOCK + _MAX_MESSAGE)
        except EngineError as error:
            if error.status == 404:
                return b""
            raise
        with suppress(tarfile.TarError):
            entry = tarfile.TarInfo.frombuf(data[:_BLOCK], "utf-8", "surrogateescape")
            if entry.isreg():
                return data[_BLOCK : _BLOCK + min(entry.size, _MAX_MESSAGE)]
        return b""

    async def remove(self) -> None:
        """Remove it; nothing if it is not there. Raises EngineError, EngineUnreachableError."""
        await self._client.delete(f"/volumes/{quote(self._name)}", force="1")

    def _inside(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
