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
from kind.tools.process import CommandResult, CommandRunner, OnLine, run

Json = dict[str, Any]

_QUERY_TIMEOUT = 30.0
_PULL_TIMEOUT = 900.0
_BUILD_TIMEOUT = 900.0
_STOP_TIMEOUT = 60.0
UNREACHABLE_REMEDY = (
    "Start Docker (Docker Desktop, or `sudo systemctl start docker`) and check that `docker info` works."
)
DENIED_REMEDY = (
    "Add yourself to the group `docker` (`sudo usermod -aG docker $USER`, then log in again), or use rootless Docker."
)


@dataclass(frozen=True)
class DockerInfo:
    """The output of `docker info`. Sizes are in bytes."""

    server_version: str
    client_version: str
    operating_system: str
    architecture: str
    cpus: int
    memory: int
    cgroup_version: str
    storage_driver: str
    root: str
    security_options: tuple[str, ...]
    proxies: Mapping[str, str]
    warnings: tuple[str, ...]
    containerd_store: bool
    system_time: str
    """The clock of the engine, RFC 3339."""

    @property
    def rootless(self) -> bool:
        return any("rootless" in option for option in self.security_options)


@dataclass(frozen=True)
class Container:
    """The container of a node. `ports` maps `30080/tcp` to `127.0.0.1:18080`."""

    id: str
    name: str
    running: bool
    cluster: str
    ports: Mapping[str, str]


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

    async def info(self) -> DockerInfo:
        """The facts about the engine. Raises ProgramMissingError, or KindError if no engine responds."""
        result = await self._run([self.program, "info", "--format", "{{json .}}"], timeout=_QUERY_TIMEOUT)
        # Without an engine it still prints JSON, and the error on stderr.
        if result.code:
            denied = "permission denied" in result.err.lower()
            raise KindError(
                f"Docker does not respond: {result.err.strip()[:400]}", DENIED_REMEDY if denied else UNREACHABLE_REMEDY
            )
        try:
            return parse_info(json.loads(result.out))
        except (ValueError, TypeError, AttributeError) as error:
            raise KindError(f"`docker info` did not print a JSON object: {error}", UNREACHABLE_REMEDY) from None

    async def image_id(self, image: str) -> str | None:
        """The ID of a local image, or None if there is none."""
        result = await self._run(
            [self.program, "image", "inspect", "--format", "{{.Id}}", image], timeout=_QUERY_TIMEOUT
        )
        return result.out.strip() or None if result.code == 0 else None

    async def image_identity(self, image: str) -> ImageIdentity | None:
        """What a local image is, or None if there is none."""
        format_ = "{{.Id}} {{json .RepoDigests}}"
        result = await self._run([self.program, "image", "inspect", "--format", format_, image], timeout=_QUERY_TIMEOUT)
        found, _, listed = result.out.strip().partition(" ")
        if result.code or not found:
            return None
        try:
            digests = json.loads(listed or "null") or ()
        except ValueError:
            digests = ()
        return ImageIdentity(found, tuple(sorted({str(each).partition("@")[2] for each in digests} - {""})))

    async def pull(self, image: str, on_line: OnLine | None = None) -> None:
        """Pull an image. Raises KindError with a remedy for a rate limit, a missing image or a missing network."""
        result = await self._run([self.program, "pull", image], timeout=_PULL_TIMEOUT, on_line=on_line)
        if result.code:
            raise result.to_error(pull_remedy(result.err, image))

    async def output(self, image: str, command: Sequence[str]) -> str:
        """The output of a program in the image, run without a network."""
        entry = ["--entrypoint", command[0], image, *command[1:]]
        result = await self._run([self.program, "run", "--rm", "--network", "none", *entry], timeout=_STOP_TIMEOUT)
        if result.code:
            raise result.to_error(f"Check that {image} is the right image.")
        return result.out

    async def build(
        self, context: Path, tag: str, arguments: Mapping[str, str], *, on_line: OnLine | None = None
    ) -> None:
        """Build an image, with BuildKit or the classic builder."""
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        command = [self.program, "build", "--tag", tag, *given, "."]
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
        command = [self.program, "save", *several, "--output", str(file), *images]
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
        result = await self._run([self.program, "run", *given, image, *command[1:]], timeout=_STOP_TIMEOUT)
        if result.code:
            raise result.to_error(f"Check that `{self.program} run` works.")

    async def commit(self, container: str, tag: str, changes: Sequence[str]) -> None:
        """Make an image of a container, all at once: without its volumes, with these changes as in a Dockerfile."""
        given = [word for each in changes for word in ("--change", each)]
        result = await self._run([self.program, "commit", *given, container, tag], timeout=_BUILD_TIMEOUT)
        if result.code:
            raise result.to_error("Check the free space of the disk.")

    async def remove(self, container: str) -> None:
        """Remove a container with its anonymous volumes, running or not; none is no error."""
        result = await self._run([self.program, "rm", "--force", "--volumes", container], timeout=_STOP_TIMEOUT)
        if result.code and "no such container" not in result.err.lower():
            raise result.to_error(f"`{self.program} rm -f -v {container}` removes it.")

    async def image_config(self, image: str) -> Json | None:
        """What containers of a local image start with: `Entrypoint`, `Labels` and so on; None if there is none."""
        command = [self.program, "image", "inspect", "--format", "{{json .Config}}", image]
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
            raise result.to_error(UNREACHABLE_REMEDY)
        return tuple(line.strip() for line in result.out.splitlines() if line.strip() and "<none>" not in line)

    async def remove_image(self, image: str) -> bool:
        """Remove an image that no container uses; False if one does, or if there is no such image."""
        result = await self._run([self.program, "image", "rm", image], timeout=_STOP_TIMEOUT)
        said = result.err.lower()
        if result.code and not any(part in said for part in ("conflict", "in use", "using", "no such image")):
            raise result.to_error(f"`{self.program} image rm {image}` removes it.")
        return result.code == 0

    async def prune(self, label: str, repository: str, *, keep: int) -> list[str]:
        """Remove images with a label and without a container, except for the newest ones; their names.

        Images that someone named otherwise, for a registry of their own, stay.
        """
        own = [each for each in await self.labelled_images(label) if each.startswith(f"{repository}:")]
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
        raise result.to_error(UNREACHABLE_REMEDY)

    async def start(self, container: str) -> None:
        """Start an existing container; a running one stays as it is."""
        result = await self._run([self.program, "start", container], timeout=_STOP_TIMEOUT)
        if result.code:
            taken = "address already in use" in result.err or "port is already allocated" in result.err
            raise result.to_error(
                "Another program uses its port: stop that program, and try again." if taken else UNREACHABLE_REMEDY
            )

    async def stop(self, container: str) -> None:
        """Stop a container; it can be started again."""
        result = await self._run([self.program, "stop", container], timeout=_STOP_TIMEOUT)
        if result.code:
            raise result.to_error(UNREACHABLE_REMEDY)


def parse_info(raw: Json) -> DockerInfo:
    """`docker info --format {{json .}}`, from an engine that answered."""
    status = raw.get("DriverStatus") or []
    return DockerInfo(
        server_version=str(raw.get("ServerVersion") or ""),
        client_version=str((raw.get("ClientInfo") or {}).get("Version") or ""),
        operating_system=str(raw.get("OperatingSystem") or ""),
        architecture=str(raw.get("Architecture") or ""),
        cpus=int(raw.get("NCPU") or 0),
        memory=int(raw.get("MemTotal") or 0),
        cgroup_version=str(raw.get("CgroupVersion") or ""),
        storage_driver=str(raw.get("Driver") or ""),
        root=str(raw.get("DockerRootDir") or ""),
        security_options=tuple(raw.get("SecurityOptions") or ()),
        proxies={name: str(raw[name]) for name in ("HttpProxy", "HttpsProxy", "NoProxy") if raw.get(name)},
        warnings=tuple(raw.get("Warnings") or ()),
        system_time=str(raw.get("SystemTime") or ""),
        containerd_store=any("io.containerd.snapshotter" in str(pair) for pair in status),
    )


def parse_container(raw: Json) -> Container:
    """`docker container inspect --format {{json .}}`. The bindings asked for: they outlive a stop."""
    bound = (raw.get("HostConfig") or {}).get("PortBindings") or {}
    return Container(
        id=str(raw["Id"]),
        name=str(raw.get("Name", "")).lstrip("/"),
        running=bool((raw.get("State") or {}).get("Running")),
        cluster=str(((raw.get("Config") or {}).get("Labels") or {}).get("io.x-k8s.kind.cluster") or ""),
        ports={inside: f"{each[0].get('HostIp')}:{each[0].get('HostPort')}" for inside, each in bound.items() if each},
    )


_NO_CONNECTION = ("no such host", "dial tcp", "i/o timeout", "tls handshake", "connection refused")


def pull_remedy(output: str, image: str) -> str:
    """The remedy for a failed pull."""
    text = output.lower()
    if "toomanyrequests" in text or "rate limit" in text:
        return "The rate limit of the registry is reached: use `docker login`, wait, or `docker load` the image."
    if any(part in text for part in _NO_CONNECTION):
        return f"The registry is not reachable: load the image (`docker load`) as {image}."
    if any(part in text for part in ("not found", "manifest unknown", "denied", "unauthorized")):
        return f"The registry denies access to {image}, or does not have it: choose another image."
    return f"Check why `docker pull {image}` fails."
