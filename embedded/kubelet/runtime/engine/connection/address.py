"""Where engines listen: the environment's choice, and the sockets that Docker and Podman use. Pure but for `exists`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, urlsplit

Engine = Literal["docker", "podman"]
ENGINES: tuple[Engine, ...] = ("docker", "podman")
_CERTIFICATES = "certificates"
# Of virtual machines, below the home folder. Most also set Docker's context, which comes first.
_DOCKER_SOCKETS = (
    ".docker/run/docker.sock",  # Docker Desktop
    ".docker/desktop/docker.sock",  # Docker Desktop on Linux
    ".orbstack/run/docker.sock",
    ".colima/default/docker.sock",
    ".rd/docker.sock",  # Rancher Desktop
)
_PODMAN_SOCKETS = tuple(
    f".local/share/containers/podman/machine/{path}"
    for path in ("podman.sock", "podman-machine-default/podman.sock", "qemu/podman.sock")
)


class AddressError(Exception):
    """An address of an engine can't be used; the message says why and what to do."""


@dataclass(frozen=True)
class EngineAddress:
    """The address of an engine: a socket's path, or host and port."""

    path: str = ""
    host: str = ""
    port: int = 0
    certificates: str = ""
    """The folder of the certificates for TLS; empty without TLS."""

    @classmethod
    def parse(cls, text: str) -> EngineAddress:
        """Read `unix:///path` or `tcp://host:port`, the latter with `?certificates=FOLDER` for TLS.

        Raises:
            AddressError: it is neither.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise AddressError(f"the engine's address {text!r} is invalid: {error}") from error
        if parts.scheme == "unix" and parts.path:
            return cls(path=parts.path)
        if parts.scheme in ("tcp", "http") and parts.hostname and port:
            return cls(host=parts.hostname, port=port, certificates=dict(parse_qsl(parts.query)).get(_CERTIFICATES, ""))
        raise AddressError(
            f"the engine's address {text!r} can't be used: it must be unix:///path/to/socket or tcp://host:port, "
            "for TLS with DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH; "
            "an engine that is reached over ssh does not see the files of this machine"
        )

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        query = f"?{_CERTIFICATES}={quote(self.certificates)}" if self.certificates else ""
        return f"tcp://{host}:{self.port}{query}"


def candidates(
    engine: Engine,
    environment: Mapping[str, str],
    home: Path,
    exists: Callable[[str], bool] = os.path.exists,
) -> list[str]:
    """Addresses where an engine may listen, the most likely first; one that the user has set is the only one."""
    variable = "DOCKER_HOST" if engine == "docker" else "CONTAINER_HOST"
    if chosen := environment.get(variable):
        folder = environment.get("DOCKER_CERT_PATH") or str(home / ".docker")
        return [_with_tls(chosen, folder) if engine == "docker" and environment.get("DOCKER_TLS_VERIFY") else chosen]
    runtime_dir = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    if engine == "docker":
        if found := _docker_context(environment, home):
            return [found]
        sockets = [
            "/var/run/docker.sock",
            f"{runtime_dir}/docker.sock",
            *(f"{home}/{path}" for path in _DOCKER_SOCKETS),
        ]
    else:
        sockets = [f"{runtime_dir}/podman/podman.sock", "/run/podman/podman.sock"]
        # Of a user's own folder on macOS only: in a common one, the socket may be anybody's.
        if (temporary := environment.get("TMPDIR", "")).startswith("/var/folders/"):
            sockets.append(f"{temporary}/podman/podman-machine-default-api.sock")
        sockets += [f"{home}/{path}" for path in _PODMAN_SOCKETS]
    return [f"unix://{path}" for path in sockets if exists(path)]


def _with_tls(address: str, folder: str) -> str:
    """An address with the folder of its certificates; a socket has none."""
    if not address.startswith("tcp://") or "?" in address:
        return address
    return f"{address}?{_CERTIFICATES}={quote(str(Path(folder).absolute()))}"


def _docker_context(environment: Mapping[str, str], home: Path) -> str:
    """The address of the context that `docker context use` has chosen; empty for the default one."""
    folder = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    with suppress(OSError, ValueError, KeyError, AttributeError):
        name = environment.get("DOCKER_CONTEXT") or json.loads((folder / "config.json").read_text())["currentContext"]
        for meta in (folder / "contexts/meta").glob("*/meta.json"):
            context = json.loads(meta.read_text())
            if context.get("Name") == name:
                certificates = folder / "contexts/tls" / meta.parent.name / "docker"
                host = str(context["Endpoints"]["docker"]["Host"])
                return _with_tls(host, str(certificates)) if certificates.is_dir() else host
    return ""
