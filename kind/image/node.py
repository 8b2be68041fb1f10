"""Node images with the images of the controller in them: with one, a new cluster has nothing to load.

kind keeps the images of Kubernetes in the content store of containerd within its node image, and unpacks them when a
container needs them first. This one adds ours in the same way (`kind build node-image` does so): containerd is started
in a container of kind's image, imports an archive, and the container is committed. kind mounts an anonymous volume at
/var of a node, which the engine fills with what the image has there.

The tag is a digest of the contents, so that nothing is built twice. An image appears all at once, at the commit; the
container ends and removes itself if the build is interrupted.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kind.errors import KindError
from kind.tools.docker_cli import Docker, full_name
from kind.tools.process import CommandResult, OnLine

REPOSITORY = "localhost/c8s-node"
"""With a registry's name, which Podman would add otherwise, and which is never pulled from."""
LABEL = "dev.c8s.role"
IMAGE_ROLE = f"{LABEL}=node-image"
BUILD_ROLE = f"{LABEL}=node-image-build"
"""Of the container in which one is built. Nodes have the label of their image."""
KEPT_IMAGES = 2
"""The newest node images that a build leaves: of what is installed, and of the version before."""
_CONTENTS_LABEL = "dev.c8s.images"
_FORMAT = "1"
_BUILD_SECONDS = 900
_START_SECONDS = 30
# Podman sends SIGTERM first, which `sleep` alone would ignore as the first process.
_WAIT = f"trap 'exit 0' TERM; sleep {_BUILD_SECONDS} & wait"
_CONTAINERD = "nohup containerd >/tmp/containerd.log 2>&1 & echo $! >/tmp/containerd.pid"
_WAIT_FOR_CONTAINERD = f"""
i=0
until [ -S /run/containerd/containerd.sock ] && ctr version >/dev/null 2>&1; do
  i=$((i + 1))
  [ $i -lt {_START_SECONDS * 5} ] || {{ tail -n 5 /tmp/containerd.log >&2; exit 1; }}
  sleep 0.2
done
"""
# Its parent may not collect ended children: then it stays as a zombie, with its database closed.
_STOP_CONTAINERD = """
pid=$(cat /tmp/containerd.pid) && kill "$pid" || exit 1
i=0
while grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$pid/status"; do
  i=$((i + 1))
  [ $i -lt 100 ] || exit 1
  sleep 0.1
done
rm -f /tmp/containerd.log /tmp/containerd.pid
"""
_IMPORT = ("ctr", "--namespace=k8s.io", "images", "import", "--label=io.cri-containerd.pinned=pinned")
_UNPACK = """
digest=$(ctr --namespace=k8s.io images list name=="$0" | awk 'NR == 2 { print $3 }')
[ -n "$digest" ] || { echo "containerd has no image $0" >&2; exit 1; }
ctr --namespace=k8s.io snapshots --snapshotter overlayfs unpack "$digest"
"""


@dataclass(frozen=True)
class NodeContents:
    """What a node image is made of: IDs of kind's node image, and of the images that are added, by name."""

    base: str
    images: Mapping[str, str]

    @property
    def tag(self) -> str:
        """The full name of the image with these contents."""
        parts = [_FORMAT, self.base, *(f"{name} {identity}" for name, identity in sorted(self.images.items()))]
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        return f"{REPOSITORY}:{digest[:12]}"


def containerd_name(image: str) -> str:
    """The name that containerd and the kubelet have for a loaded image: loading loses digests."""
    return full_name(image.partition("@")[0])


class NodeImages:
    """Finds, builds and removes node images."""

    def __init__(self, docker: Docker, cache: Path) -> None:
        self._docker = docker
        self._cache = cache

    async def contents(self, base: str, images: list[str]) -> NodeContents | None:
        """The contents of a node image with these images; None if one of them is not on this host."""
        identity = await self._docker.image_id(base)
        found = {each: await self._docker.image_id(each) for each in images}
        if identity is None or None in found.values():
            return None
        return NodeContents(identity, {name: each for name, each in found.items() if each is not None})

    async def exists(self, contents: NodeContents) -> bool:
        return await self._docker.image_id(contents.tag) is not None

    async def loaded(self, node_image: str) -> dict[str, str]:
        """The IDs of the images that a node image brings, by name; empty for one that is not ours."""
        config = await self._docker.image_config(node_image) or {}
        listed = str((config.get("Labels") or {}).get(_CONTENTS_LABEL) or "")
        pairs = (each.partition("=") for each in listed.split(","))
        return {name: identity for name, _, identity in pairs if identity}

    async def build(self, base: str, contents: NodeContents, report: OnLine) -> str:
        """Build a node image, and remove those that are old; its name. Raises KindError."""
        config = await self._docker.image_config(base)
        if config is None:
            raise KindError(f"the node image {base} is not on this host", f"`{self._docker.program} pull {base}`.")
        container = f"c8s-node-build-{secrets.token_hex(4)}"
        options = ["--label", BUILD_ROLE, "--security-opt", "seccomp=unconfined"]
        try:
            await self._docker.run_detached(container, base, options, ["sh", "-c", _WAIT])
            await self._import(container, contents, report)
            report("committing the node image")
            changes = [
                f"ENTRYPOINT {json.dumps(config.get('Entrypoint') or [])}",
                f"CMD {json.dumps(config.get('Cmd') or [])}",
                f"LABEL {IMAGE_ROLE}",
                # Without a quote: Docker and Podman read those in different ways.
                f"LABEL {_CONTENTS_LABEL}={','.join('='.join(each) for each in sorted(contents.images.items()))}",
            ]
            await self._docker.commit(container, contents.tag, changes)
        finally:
            await self._docker.remove(container)
        await self._docker.prune(IMAGE_ROLE, REPOSITORY, keep=KEPT_IMAGES)
        return contents.tag

    async def _import(self, container: str, contents: NodeContents, report: OnLine) -> None:
        report("starting containerd")
        _check(await self._docker.execute(container, ["sh", "-c", _CONTAINERD]))
        _check(await self._docker.execute(container, ["sh", "-c", _WAIT_FOR_CONTAINERD]))
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="node-", dir=self._cache) as folder:
            archive = Path(folder) / "images.tar"
            report(f"saving {len(contents.images)} images")
            await self._docker.save(sorted(contents.images), archive)
            report("importing them into the node image")
            command = [*_IMPORT, "--no-unpack", "--digests", "-"]
            _check(await self._docker.execute(container, command, stdin=archive, timeout=_BUILD_SECONDS))
        listed = await self._docker.execute(container, ["ctr", "--namespace=k8s.io", "images", "list", "--quiet"])
        missing = {containerd_name(each) for each in contents.images} - set(_check(listed).out.split())
        if missing:
            raise KindError(
                f"containerd imported the archive without {', '.join(sorted(missing))}",
                "Images are loaded onto each node instead.",
            )
        _check(await self._docker.execute(container, ["sh", "-c", _STOP_CONTAINERD]))

    async def unpack(self, node: str, image: str) -> bool:
        """Unpack an image of a node's content store, which its first container would wait for; whether it worked."""
        command = ["sh", "-c", _UNPACK, containerd_name(image)]
        return (await self._docker.execute(node, command, timeout=_BUILD_SECONDS)).code == 0


def _check(result: CommandResult) -> CommandResult:
    if result.code:
        raise result.to_error("Images are loaded onto each node instead.")
    return result
