"""Docker by its command line: what it says about itself, images, and the containers that are kind's nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kind.errors import KindError, ProgramFailedError
from kind.tools.process import CommandRunner, OnLine, run

Json = dict[str, Any]

_QUERY_TIMEOUT = 30.0
_PULL_TIMEOUT = 900.0
_BUILD_TIMEOUT = 900.0
_STOP_TIMEOUT = 60.0
UNREACHABLE_REMEDY = (
    "Start Docker (Docker Desktop, or `sudo systemctl start docker`) and see that `docker info` works for you."
)
DENIED_REMEDY = (
    "Add yourself to the group `docker` (`sudo usermod -aG docker $USER`, then log in again), or use rootless Docker."
)


@dataclass(frozen=True)
class DockerInfo:
    """What `docker info` says. Sizes are bytes."""

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
    """The engine's clock, RFC 3339."""

    @property
    def rootless(self) -> bool:
        return any("rootless" in option for option in self.security_options)


@dataclass(frozen=True)
class Container:
    """A node's container. `ports` maps `30080/tcp` to `127.0.0.1:18080`."""

    id: str
    name: str
    running: bool
    cluster: str
    ports: Mapping[str, str]


class Docker:
    """The program `docker`."""

    def __init__(self, run_command: CommandRunner = run) -> None:
        self._run = run_command

    async def info(self) -> DockerInfo:
        """Raises ProgramMissingError, KindError with the remedy when no engine answers."""
        done = await self._run(["docker", "info", "--format", "{{json .}}"], timeout=_QUERY_TIMEOUT)
        # Without an engine it prints JSON all the same, and the truth on stderr.
        if done.code:
            denied = "permission denied" in done.err.lower()
            raise KindError(
                f"Docker does not answer: {done.err.strip()[:400]}", DENIED_REMEDY if denied else UNREACHABLE_REMEDY
            )
        try:
            return parse_info(json.loads(done.out))
        except (ValueError, TypeError, AttributeError) as error:
            raise KindError(
                f"`docker info` printed something that is no JSON object: {error}", UNREACHABLE_REMEDY
            ) from None

    async def image_id(self, image: str) -> str | None:
        """The local image's id, or None when there is none."""
        done = await self._run(["docker", "image", "inspect", "--format", "{{.Id}}", image], timeout=_QUERY_TIMEOUT)
        return done.out.strip() or None if done.code == 0 else None

    async def pull(self, image: str, on_line: OnLine | None = None) -> None:
        """Raises KindError that tells a rate limit, a vanished image and a missing network apart."""
        done = await self._run(["docker", "pull", image], timeout=_PULL_TIMEOUT, on_line=on_line)
        if done.code:
            raise done.to_error(pull_remedy(done.err, image))

    async def output(self, image: str, command: Sequence[str]) -> str:
        """What a program in the image prints; it has no network."""
        entry = ["--entrypoint", command[0], image, *command[1:]]
        done = await self._run(["docker", "run", "--rm", "--network", "none", *entry], timeout=_STOP_TIMEOUT)
        if done.code:
            raise done.to_error(f"See whether the image {image} is what you meant.")
        return done.out

    async def build(
        self, context: Path, tag: str, arguments: Mapping[str, str], *, on_line: OnLine | None = None
    ) -> None:
        """Build an image, with the older builder as well as with BuildKit."""
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        command = ["docker", "build", "--tag", tag, *given, "."]
        done = await self._run(command, timeout=_BUILD_TIMEOUT, on_line=on_line, cwd=context)
        if done.code:
            raise done.to_error("Fix what the build says; `c8s up --kind` builds again.")
        if await self.image_id(tag) is None:
            raise ProgramFailedError(
                f"the build of {tag} ended well, but Docker has no such image",
                "A builder of its own keeps it: `docker buildx use default`, then try again.",
            )

    async def save(self, image: str, file: Path) -> None:
        """Write the image into an archive."""
        done = await self._run(["docker", "save", "--output", str(file), image], timeout=_BUILD_TIMEOUT)
        if done.code:
            raise done.to_error("See that the disk has room.")

    async def load_archive(self, node: str, file: Path) -> None:
        """Hand an archive to a node's containerd, for this platform only: the others' layers may not be in it."""
        importing = ["ctr", "--namespace=k8s.io", "images", "import", "--digests", "--snapshotter=overlayfs", "-"]
        done = await self._run(
            ["docker", "exec", "--interactive", node, *importing], timeout=_BUILD_TIMEOUT, stdin=file
        )
        if done.code:
            raise done.to_error("See `c8s doctor`; a newer kind may know this Docker.")

    async def container(self, name: str) -> Container | None:
        """A container by its name, running or not; None when there is none."""
        done = await self._run(
            ["docker", "container", "inspect", "--format", "{{json .}}", name], timeout=_QUERY_TIMEOUT
        )
        if done.code == 0:
            return parse_container(json.loads(done.out))
        if "no such container" in done.err.lower():
            return None
        raise done.to_error(UNREACHABLE_REMEDY)

    async def start(self, container: str) -> None:
        """Start a container that is there; fine when it runs."""
        done = await self._run(["docker", "start", container], timeout=_STOP_TIMEOUT)
        if done.code:
            taken = "address already in use" in done.err or "port is already allocated" in done.err
            raise done.to_error(
                "Another program took its port: end that, and try again." if taken else UNREACHABLE_REMEDY
            )

    async def stop(self, container: str) -> None:
        """Stop a container; it can be started again."""
        done = await self._run(["docker", "stop", container], timeout=_STOP_TIMEOUT)
        if done.code:
            raise done.to_error(UNREACHABLE_REMEDY)


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


_NO_WAY = ("no such host", "dial tcp", "i/o timeout", "tls handshake", "connection refused")


def pull_remedy(output: str, image: str) -> str:
    """What to do about a pull that failed."""
    words = output.lower()
    if "toomanyrequests" in words or "rate limit" in words:
        return "The registry's rate limit is reached: `docker login`, or wait, or `docker load` it from elsewhere."
    if any(
        word in words for word in ("no such host", "dial tcp", "i/o timeout", "tls handshake", "connection refused")
    ):
        return f"There is no way to the registry from here: put the image on this machine (`docker load`) as {image}."
    if any(word in words for word in ("not found", "manifest unknown", "denied", "unauthorized")):
        return f"The registry does not give {image} away: name another image."
    return f"See why `docker pull {image}` fails."
