"""Which node image is kept for the next cluster: one with all images that `c8s up --kind` loads."""

from __future__ import annotations

from kind.cluster.bootstrap_options import BootstrapOptions
from kind.errors import KindError
from kind.image.node import NodeContents, NodeImages
from kind.tools.docker_cli import Docker
from kind.tools.process import OnLine

SAMPLE_IMAGES = ("busybox:1.36", "python:3.12-slim")
"""Images of the samples: loaded onto the node if this host has them, never pulled for that."""


class KeptNodeImage:
    """The node image of some options, which exists or not."""

    def __init__(self, docker: Docker, node_images: NodeImages, options: BootstrapOptions) -> None:
        self._docker = docker
        self._node_images = node_images
        self._options = options

    async def local_samples(self) -> list[str]:
        """The images of the samples that this host has."""
        return [each for each in SAMPLE_IMAGES if await self._docker.image_id(each) is not None]

    async def _contents(self, controller: str) -> NodeContents | None:
        """What the node image has; None if an image of it is not on this host."""
        if not controller or self._docker.program == "nerdctl":
            return None
        store = [self._options.minio_image] if self._options.s3 is None else []
        images = dict.fromkeys([controller, *store, *await self.local_samples(), *self._options.load])
        return await self._node_images.contents(self._options.node_image, list(images))

    async def find(self, controller: str) -> str | None:
        """The name of the node image, if there is one. `controller`: the controller's image, empty for none."""
        contents = await self._contents(controller)
        return contents.tag if contents is not None and await self._node_images.exists(contents) else None

    async def build(self, controller: str, report: OnLine) -> str:
        """Build it; returns a sentence about the result, also about a failure: the cluster is complete without it."""
        contents = await self._contents(controller)
        if self._docker.program == "nerdctl":
            return "not kept: `nerdctl commit` sets no labels"
        if contents is None:
            return "not kept: an image is no longer on this host"
        try:
            name = await self._node_images.build(self._options.node_image, contents, report)
        except KindError as error:
            return f"NOT kept, the next cluster takes as long as this one: {error}"
        return f"{name} makes the next cluster quick"
