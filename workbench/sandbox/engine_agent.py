"""The agent as a container of its own image, for engines that do not see the files of this machine.

It brings sources to volumes of the engine and takes artifacts from there, and reaches the API of the sandbox from a
container. Whether and where it does is tried at the start. Blocks; imports aiohttp nowhere.
"""

from __future__ import annotations

import hashlib
import io
import json
import socket
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embedded.kubelet.runtime.engine.connection.detect import FoundEngine

Json = dict[str, Any]

BASE_IMAGE = "python:3.12-slim"
BASE_ENV = "C8S_AGENT_BASE_IMAGE"
AGENT_COMMAND = ("python3", "-I", "-S", "/opt/c8s/agent")
_NAME = "c8s-agent"
_LABEL = "dev.c8s.role=agent-image"
_KEPT = 2
"""Images that a build leaves: of this version, and of the one before."""
_TIMEOUT = 900.0
"""Seconds; the base may have to be pulled."""
_HOST_NAMES = {"docker": "host.docker.internal", "podman": "host.containers.internal"}
_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"
# A network is used for git only, where the base has none, and done without.
_DOCKERFILE = """\
ARG BASE
FROM ${BASE}
USER 0
RUN command -v git >/dev/null || { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install \
    --no-install-recommends git openssh-client ca-certificates && rm -rf /var/lib/apt/lists/*; } >/dev/null 2>&1 \
    || echo "no git"
COPY agent /opt/c8s/agent
LABEL dev.c8s.role=agent-image
ENV PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
ENTRYPOINT []
"""


@dataclass(frozen=True)
class EngineAgent:
    """What a sandbox needs to know of its agent in an engine."""

    image: str
    host: str
    """The name under which containers reach this machine."""
    gateway: str = ""
    """The address of this machine at which they do so, if the loopback address is not what that leads to."""
    pod_hosts: tuple[str, ...] = ()
    """The entries of /etc/hosts that pods need for that."""


def ways_to_host(engine: str, image: str, gateway: str) -> list[EngineAgent]:
    """How containers may reach this machine, to be tried in this order.

    Docker Desktop leads the name to the loopback address, with an entry or without; Docker on Linux knows the name by
    an entry only, and leads it to its bridge. Colima and Rancher Desktop know it by themselves, and an entry would lead
    it into their virtual machine.

    Args:
        gateway: the address of the engine's bridge; empty if it is not known.
    """
    host = _HOST_NAMES[engine]
    entry = (f"{host}:host-gateway",) if engine == "docker" else ()
    ways = [EngineAgent(image, host, address, entry) for address in dict.fromkeys(("", gateway))]
    return [*ways, EngineAgent(image, host)] if entry else ways


def prepare_agent(
    found: FoundEngine, data_dir: Path, base: str = BASE_IMAGE, progress: Callable[[str], None] = lambda _: None
) -> EngineAgent:
    """Build the image unless it is there, and find out how its containers reach this machine.

    A container of it stays until the cluster has one of its own: so the image is not removed in between.

    Raises:
        RuntimeUnavailableError: that is not possible; the message says why and what to do.
    """
    from embedded.kubelet.runtime.engine.connection.detect import EngineRequests
    from embedded.kubelet.runtime.engine.connection.network import bridge_gateway
    from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError
    from embedded.kubelet.runtime.engine.identity import cluster_labels
    from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError

    request = EngineRequests(found.address, _TIMEOUT)
    try:
        request.connect()
        image = _image(request, base, progress)
        labels = cluster_labels(data_dir.resolve())
        for agent in ways_to_host(found.info.name, image, bridge_gateway(request)):
            with _listening(agent.gateway or "127.0.0.1") as port:
                if port and _reaches(request, agent, port, labels):
                    return agent
    except (EngineError, EngineUnreachableError) as error:
        raise RuntimeUnavailableError(f"the agent can't run in the engine at {found.address}: {error}") from error
    raise RuntimeUnavailableError(
        f"containers of the engine at {found.address} do not reach this machine by the name "
        f"{_HOST_NAMES[found.info.name]}, so that "
        "steps would get neither their source nor artifacts. An engine on another machine can't be used"
    )


def agent_files() -> Mapping[str, bytes]:
    """The files of the agent, by their path."""
    import controller

    folder = Path(controller.__file__).parent / "agent"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.py"))}


def image_tag(base_id: str, files: Mapping[str, bytes]) -> str:
    """A name that changes with what is in the image."""
    digest = hashlib.sha256(json.dumps([base_id, _DOCKERFILE]).encode())
    for name, content in files.items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    return f"{_NAME}:{digest.hexdigest()[:12]}"


def _image(request: Any, base: str, progress: Callable[[str], None]) -> str:
    """The name of the image, which is there then. Raises EngineError, EngineUnreachableError."""
    from embedded.kubelet.runtime.engine.errors import EngineError

    if _find(request, base) is None:
        progress(f"pulling {base} for the agent (once)")
        _check_lines(request.text("POST", "/images/create", None, fromImage=base))
    base_id = _find(request, base)
    if base_id is None:
        raise EngineError(404, f"the engine does not have the image {base} after it was pulled")
    files = agent_files()
    tag = image_tag(base_id, files)
    if _find(request, tag) is None:
        progress("building the image of the agent (once)")
        arguments = json.dumps({"BASE": base})
        _check_lines(request.text("POST", "/build", _context(files), t=tag, buildargs=arguments, rm="1", forcerm="1"))
        if _find(request, tag) is None:
            raise EngineError(404, f"the engine does not have the image {tag} after it was built")
        _prune(request)
    return tag


def _prune(request: Any) -> None:
    """Remove the images of earlier versions, except for the last one and those that containers use.

    Sandboxes of other versions may run in this engine: each has a container of its image. The engine refuses to remove
    the image of a container.
    """
    from embedded.kubelet.runtime.engine.errors import EngineError

    found = request("GET", "/images/json", None, filters=json.dumps({"label": [_LABEL]})) or []
    for each in sorted(found, key=lambda image: -int(image["Created"]))[_KEPT:]:
        for name in each.get("RepoTags") or [each["Id"]]:
            with suppress(EngineError):
                request("DELETE", f"/images/{name}")


def _find(request: Any, image: str) -> str | None:
    from embedded.kubelet.runtime.engine.errors import EngineError

    try:
        return str(request("GET", f"/images/{image}/json")["Id"])
    except EngineError as error:
        if error.status == 404:
            return None
        raise


def _check_lines(text: str) -> None:
    """Raise EngineError for an error in the lines of an answer that tells how far something is."""
    from embedded.kubelet.runtime.engine.errors import EngineError

    for line in text.splitlines():
        found = json.loads(line) if line.startswith("{") else {}
        if found.get("error"):
            raise EngineError(500, str(found["error"]))


def _context(files: Mapping[str, bytes]) -> bytes:
    """The folder of the build."""
    there = {"Dockerfile": _DOCKERFILE.encode()} | {f"agent/{name}": content for name, content in files.items()}
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in there.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


@contextmanager
def _listening(host: str) -> Iterator[int]:
    """A port that takes connections; 0 if the address is not one of this machine's."""
    with socket.socket() as listener:
        try:
            listener.bind((host, 0))
        except OSError:
            yield 0
            return
        listener.listen()
        yield listener.getsockname()[1]


def _reaches(request: Any, agent: EngineAgent, port: int, labels: Mapping[str, str]) -> bool:
    """Whether a container reaches a port of this machine. Raises EngineError, EngineUnreachableError."""
    body: Json = {"Image": agent.image, "Labels": dict(labels)}
    body["Entrypoint"] = ["python3", "-I", "-S", "-c", _CONNECT, agent.host, str(port)]
    body["HostConfig"] = {"ExtraHosts": list(agent.pod_hosts), "LogConfig": {"Type": "none"}}
    identifier = str(request("POST", "/containers/create", body)["Id"])
    reaches = False
    try:
        request("POST", f"/containers/{identifier}/start")
        reaches = bool(request("POST", f"/containers/{identifier}/wait")["StatusCode"] == 0)
    finally:
        if not reaches:
            request("DELETE", f"/containers/{identifier}", force="1", v="1")
    return reaches
