"""Docker by its command line: the engine, images, and the containers that are nodes of kind.

The other engines that kind can use have the same commands (see `kind.tools.provider`); where they differ, it says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kind.errors import KindError, ProgramFailedError
from kind.tools.engine_info import ENGINE_NAMES, EngineInfo, parse_info, parse_podman_info
from kind.tools.process import CommandResult, CommandRunner, OnLine, run

Json = dict[str, Any]

_QUERY_TIMEOUT = 30.0
_PULL_TIMEOUT = 900.0
_BUILD_TIMEOUT = 900.0
_STOP_TIMEOUT = 60.0
UNREACHABLE_REMEDY = (
    "Start Docker (Docker Desktop, or `sudo systemctl start docker`) and check that `docker info` works."
)
_START_REMEDIES = {
    "docker": UNREACHABLE_REMEDY,
    "podman": (
        "Check that `podman info` works; on macOS and Windows, make its virtual machine with `podman machine init "
        "--rootful --memory 6144` and start it with `podman machine start`."
    ),
    "nerdctl": "Start containerd (`sudo systemctl start containerd`), and check that `nerdctl info` works.",
}
DENIED_REMEDY = (
    "Add yourself to the group `docker` (`sudo usermod -aG docker $USER`, then log in again), or use rootless Docker."
)


@dataclass(frozen=True)
class Container:
    """The container of a node. `ports` maps `30080/tcp` to `127.0.0.1:18080`."""

    id: str
    name: str
    running: bool
    cluster: str
    ports: Mapping[str, str]
    role: str = ""
    """The label `dev.c8s.role`, which a node has from its image."""


@dataclass(frozen=True)
class ImageIdentity:
    """What an image is: its ID on this host, and its digests in registries (none if it was loaded from a file)."""

    id: str
    digests: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The one to show, and to pin the image by: that of the registry if there is one."""
        return self.digests[0] if self.digests else self.id

    def matches(self, other: ImageIdentity) -> bool:
        """Whether both are the same image. The ID also depends on where the engine stores its images."""
        return self.id == other.id or not set(self.digests).isdisjoint(other.digests)


class Docker:
    """The program `docker`, or another one with its commands.

    Args:
        program: `docker`, `podman` or `nerdctl`.
    """

    def __init__(self, run_command: CommandRunner = run, program: str = "docker") -> None:
        self._run = run_command
        self.program = program

    @property
    def title(self) -> str:
        """The engine's name in sentences."""
        return ENGINE_NAMES.get(self.program, self.program)

    @property
    def start_remedy(self) -> str:
        """What to do if it does not respond."""
        return _START_REMEDIES.get(self.program, UNREACHABLE_REMEDY)

    def name(self, image: str) -> str:
        """The name of an image for this engine: Podman finds an image surely only by its full name."""
        return full_name(image) if self.program == "podman" else image

    async def info(self) -> EngineInfo:
        """The facts about the engine. Raises ProgramMissingError, or KindError if no engine responds."""
        format_ = "json" if self.program == "podman" else "{{json .}}"
        result = await self._run([self.program, "info", "--format", format_], timeout=_QUERY_TIMEOUT)
        # Without an engine Docker still prints JSON, and the error on stderr.
        if result.code:
            denied = "permission denied" in result.err.lower() and self.program == "docker"
            remedy = DENIED_REMEDY if denied else self.start_remedy
            raise KindError(f"{self.title} does not respond: {result.err.strip()[:400]}", remedy)
        try:
            raw = json.loads(result.out)
            return parse_podman_info(raw) if self.program == "podman" else parse_info(raw, self.program)
        except (ValueError, TypeError, AttributeError) as error:
            raise KindError(f"`{self.program} info` did not print a JSON object: {error}", self.start_remedy) from None

    async def image_id(self, image: str) -> str | None:
        """The ID of a local image, or None if there is none."""
        result = await self._run(
            [self.program, "image", "inspect", "--format", "{{.Id}}", self.name(image)], timeout=_QUERY_TIMEOUT
        )
        return _full_id(result.out.strip()) or None if result.code == 0 else None

    async def image_identity(self, image: str) -> ImageIdentity | None:
        """What a local image is, or None if there is none."""
        format_ = "{{.Id}} {{json .RepoDigests}}"
        result = await self._run(
            [self.program, "image", "inspect", "--format", format_, self.name(image)], timeout=_QUERY_TIMEOUT
        )
        found, _, listed = result.out.strip().partition(" ")
        if result.code or not found:
            return None
        try:
            digests = json.loads(listed or "null") or ()
        except ValueError:
            digests = ()
        return ImageIdentity(_full_id(found), tuple(sorted({str(each).partition("@")[2] for each in digests} - {""})))

    async def pull(self, image: str, on_line: OnLine | None = None) -> None:
        """Pull an image. Raises KindError with a remedy for a rate limit, a missing image or a missing network."""
        result = await self._run([self.program, "pull", self.name(image)], timeout=_PULL_TIMEOUT, on_line=on_line)
        if result.code:
            raise result.to_error(pull_remedy(result.err, image, self.program))

    async def output(self, image: str, command: Sequence[str]) -> str:
        """The output of a program in the image, run without a network."""
        entry = ["--entrypoint", command[0], self.name(image), *command[1:]]
        result = await self._run([self.program, "run", "--rm", "--network", "none", *entry], timeout=_STOP_TIMEOUT)
        if result.code:
            raise result.to_error(f"Check that {image} is the right image.")
        return result.out

    async def build(
        self, context: Path, tag: str, arguments: Mapping[str, str], *, on_line: OnLine | None = None
    ) -> None:
        """Build an image, with BuildKit or the classic builder."""
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        command = [self.program, "build", "--tag", self.name(tag), *given, "."]
        result = await self._run(command, timeout=_BUILD_TIMEOUT, on_line=on_line, cwd=context)
        if result.code:
            raise result.to_error("Fix the error of the build; `c8s up --kind` builds again.")
        if await self.image_id(tag) is None:
            raise ProgramFailedError(
                f"the build of {tag} succeeded, but Docker has no such image",
                "Another builder stores it: run `docker buildx use default`, then try again.",
            )

    async def save(self, images: Sequence[str], file: Path) -> None:
        """Save images to one archive, with the layers that they share only once."""
        several = ["--multi-image-archive"] if self.program == "podman" and len(images) > 1 else []
        command = [self.program, "save", *several, "--output", str(file), *map(self.name, images)]
        result = await self._run(command, timeout=_BUILD_TIMEOUT)
        if result.code:
            raise result.to_error("Check the free space of the disk.")

    async def load_archive(self, node: str, file: Path) -> None:
        """Import an archive into containerd of a node, for this platform only: it may lack the layers of others."""
        importing = ["ctr", "--namespace=k8s.io", "images", "import", "--digests", "--snapshotter=overlayfs", "-"]
        result = await self.execute(node, importing, stdin=file, timeout=_BUILD_TIMEOUT)
        if result.code:
            raise result.to_error("See `c8s doctor`; a newer kind may support this Docker.")

    async def execute(
        self, container: str, command: Sequence[str], *, stdin: Path | None = None, timeout: float = _STOP_TIMEOUT
    ) -> CommandResult:
        """Run a program in a running container. Its exit code is up to the caller."""
        interactive = ["--interactive"] if stdin is not None else []
        return await self._run([self.program, "exec", *interactive, container, *command], timeout=timeout, stdin=stdin)

    async def run_detached(self, name: str, image: str, options: Sequence[str], command: Sequence[str]) -> None:
        """Start a container without a network, which is removed when it ends."""
        given = ["--detach", "--rm", "--name", name, "--network", "none", *options, "--entrypoint", command[0]]
        result = await self._run([self.program, "run", *given, self.name(image), *command[1:]], timeout=_STOP_TIMEOUT)
        if result.code:
            raise result.to_error(f"Check that `{self.program} run` works.")

    async def commit(self, container: str, tag: str, changes: Sequence[str]) -> None:
        """Make an image of a container, all at once: without its volumes, with these changes as in a Dockerfile."""
        given = [word for each in changes for word in ("--change", each)]
        result = await self._run([self.program, "commit", *given, container, self.name(tag)], timeout=_BUILD_TIMEOUT)
        if result.code:
            raise result.to_error("Check the free space of the disk.")

    async def remove(self, container: str) -> None:
        """Remove a container with its anonymous volumes, running or not; none is no error."""
        result = await self._run([self.program, "rm", "--force", "--volumes", container], timeout=_STOP_TIMEOUT)
        if result.code and "no such container" not in result.err.lower():
            raise result.to_error(f"`{self.program} rm -f -v {container}` removes it.")

    async def image_config(self, image: str) -> Json | None:
        """What containers of a local image start with: `Entrypoint`, `Labels` and so on; None if there is none."""
        command = [self.program, "image", "inspect", "--format", "{{json .Config}}", self.name(image)]
        result = await self._run(command, timeout=_QUERY_TIMEOUT)
        if result.code:
            return None
        try:
            found = json.loads(result.out)
        except ValueError:
            found = None
        return found if isinstance(found, dict) else {}

    async def labelled_images(self, label: str) -> tuple[str, ...]:
        """The names of the local images with this label (`KEY=VALUE`), newest first."""
        format_ = "{{.Repository}}:{{.Tag}}"
        command = [self.program, "image", "ls", "--filter", f"label={label}", "--format", format_]
        result = await self._run(command, timeout=_QUERY_TIMEOUT)
        if result.code:
            raise result.to_error(self.start_remedy)
        return tuple(line.strip() for line in result.out.splitlines() if line.strip() and "<none>" not in line)

    async def remove_image(self, image: str) -> bool:
        """Remove an image that no container uses; False if one does, or if there is no such image."""
        result = await self._run([self.program, "image", "rm", self.name(image)], timeout=_STOP_TIMEOUT)
        said = result.err.lower()
        if result.code and not any(part in said for part in ("conflict", "in use", "using", "no such image")):
            raise result.to_error(f"`{self.program} image rm {image}` removes it.")
        return result.code == 0

    async def prune(self, label: str, repository: str, *, keep: int) -> list[str]:
        """Remove images with a label and without a container, except for the newest ones; their names.

        Images that someone named otherwise, for a registry of their own, stay.
        """
        own = [each for each in await self.labelled_images(label) if each.startswith(f"{self.name(repository)}:")]
        return [each for each in own[keep:] if await self.remove_image(each)]

    async def container(self, name: str) -> Container | None:
        """A container by its name, running or not; None if there is none."""
        result = await self._run(
            [self.program, "container", "inspect", "--format", "{{json .}}", name], timeout=_QUERY_TIMEOUT
        )
        if result.code == 0:
            return parse_container(json.loads(result.out))
        if "no such container" in result.err.lower():
            return None
        raise result.to_error(self.start_remedy)

    async def start(self, container: str) -> None:
        """Start an existing container; a running one stays as it is."""
        result = await self._run([self.program, "start", container], timeout=_STOP_TIMEOUT)
        if result.code:
            taken = "address already in use" in result.err or "port is already allocated" in result.err
            raise result.to_error(
                "Another program uses its port: stop that program, and try again." if taken else self.start_remedy
            )

    async def stop(self, container: str) -> None:
        """Stop a container; it can be started again."""
        result = await self._run([self.program, "stop", container], timeout=_STOP_TIMEOUT)
        if result.code:
            raise result.to_error(self.start_remedy)


def parse_container(raw: Json) -> Container:
    """`docker container inspect --format {{json .}}`. The bindings asked for: they outlive a stop."""
    # nerdctl has only those of the running container.
    bound = (raw.get("HostConfig") or {}).get("PortBindings") or (raw.get("NetworkSettings") or {}).get("Ports") or {}
    return Container(
        id=str(raw["Id"]),
        name=str(raw.get("Name", "")).lstrip("/"),
        running=bool((raw.get("State") or {}).get("Running")),
        cluster=str(((raw.get("Config") or {}).get("Labels") or {}).get("io.x-k8s.kind.cluster") or ""),
        role=str(((raw.get("Config") or {}).get("Labels") or {}).get("dev.c8s.role") or ""),
        ports={inside: f"{each[0].get('HostIp')}:{each[0].get('HostPort')}" for inside, each in bound.items() if each},
    )


def full_name(image: str) -> str:
    """The name of an image with its registry and a tag or a digest, as containerd has it."""
    host, slash, _ = image.partition("/")
    if not slash:
        image = f"docker.io/library/{image}"
    elif not ("." in host or ":" in host or host == "localhost"):
        image = f"docker.io/{image}"
    return image if "@" in image or ":" in image.rpartition("/")[2] else f"{image}:latest"


def _full_id(identity: str) -> str:
    """The ID of an image as Docker prints it; Podman leaves the algorithm out."""
    return f"sha256:{identity}" if len(identity) == 64 and ":" not in identity else identity


_NO_CONNECTION = ("no such host", "dial tcp", "i/o timeout", "tls handshake", "connection refused")


def pull_remedy(output: str, image: str, program: str = "docker") -> str:
    """The remedy for a failed pull."""
    text = output.lower()
    if "toomanyrequests" in text or "rate limit" in text:
        return f"The rate limit of the registry is reached: use `{program} login`, wait, or `{program} load` the image."
    if any(part in text for part in _NO_CONNECTION):
        return f"The registry is not reachable: load the image (`{program} load`) as {image}."
    if any(part in text for part in ("not found", "manifest unknown", "denied", "unauthorized")):
        return f"The registry denies access to {image}, or does not have it: choose another image."
    return f"Check why `{program} pull {image}` fails."
