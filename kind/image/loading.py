"""Brings images onto the node of a cluster: by unpacking, where its node image has them, otherwise by loading."""

from __future__ import annotations

import json

from kind.image.build import load
from kind.image.node import NodeImages, containerd_name
from kind.tools.docker_cli import Docker
from kind.tools.kind_cli import Kind
from kind.tools.process import OnLine


class NodeLoader:
    """Loads images onto one node.

    Attributes:
        brought: the IDs of the images that the node's own image has, by name.
    """

    def __init__(self, kind: Kind, docker: Docker, node_images: NodeImages, cluster: str, node: str) -> None:
        self._kind = kind
        self._docker = docker
        self._node_images = node_images
        self._cluster = cluster
        self._node = node
        self.brought: dict[str, str] = {}

    async def load(self, image: str, report: OnLine) -> str:
        """Load an image, which is pulled first if this host does not have it; a sentence about what was done.

        Raises:
            KindError: it can't be pulled or loaded.
        """
        identity = await self._docker.image_id(image)
        if identity is None:
            report(f"pulling {image}")
            await self._docker.pull(image, report)
        elif self.brought.get(image) == identity:
            unpacked = await self._node_images.unpack(self._node, image)
            return f"{image} is in the node image" + ("" if unpacked else ", and is unpacked when it is used first")
        elif await self._has(image, identity):
            return f"{image} is on the node"
        await load(self._kind, self._docker, self._cluster, [self._node], image, report)
        return f"{image} is on the node"

    async def _has(self, image: str, identity: str) -> bool:
        """Whether the node has this very image. False also for engines whose IDs are not those of the node."""
        found = await self._docker.execute(
            self._node, ["crictl", "inspecti", "--output", "json", containerd_name(image)]
        )
        if found.code:
            return False
        try:
            return str(json.loads(found.out)["status"]["id"]) == identity
        except (ValueError, KeyError, TypeError):
            return False
