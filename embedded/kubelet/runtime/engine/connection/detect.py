"""Finds engines, and makes sure that one can run the pods of a cluster.

It blocks, and imports nothing but the standard library: commands that start a sandbox call it, and importing aiohttp
would take them longer than the start itself.
"""

from __future__ import annotations

import http.client
import json
import platform
import secrets
import shutil
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from embedded.kubelet.runtime.engine.connection.address import ENGINES, AddressError, EngineAddress, candidates
from embedded.kubelet.runtime.engine.connection.files import EngineFiles, check_volumes
from embedded.kubelet.runtime.engine.connection.info import EngineInfo, describe
from embedded.kubelet.runtime.engine.connection.network import bridge_gateway, is_own_address
from embedded.kubelet.runtime.engine.connection.tls import client_context, explain
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError, error_message
from embedded.kubelet.runtime.engine.identity import cluster_labels
from embedded.kubelet.runtime.engine.pause import image as pause_image
from embedded.kubelet.runtime.engine.pause.program import PROGRAM, program
from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError

Json = dict[str, Any]

_FIND_TIMEOUT = 5.0
_PREPARE_TIMEOUT = 60.0
_CHECKED = "/checked"
_CHECKED_FILE = "engine-checked"


@dataclass(frozen=True)
class FoundEngine:
    """An engine that answers."""

    address: EngineAddress
    info: EngineInfo


@dataclass(frozen=True)
class EngineFacts:
    """What decides how well an engine runs pods."""

    rootless: bool = False
    selinux: bool = False
    cgroups: str = ""
    """The version of the control groups, as the engine names it."""
    enforces_limits: bool = False
    cores: int = 1
    memory: int = 0
    """Bytes of the machine."""
    architecture: str = ""
    kernel: str = ""
    root: str = ""
    """The folder in which it keeps images."""

    @classmethod
    def of(cls, system: Json) -> EngineFacts:
        """From the answer to GET /info."""
        options = [str(option) for option in system.get("SecurityOptions") or []]
        # Docker has an option for it; Podman has a field, and before 4.4 nothing else.
        rootless = bool(system.get("Rootless")) or any("rootless" in option for option in options)
        cgroups = str(system.get("CgroupVersion") or "1")
        has_limits = bool(system.get("MemoryLimit")) and bool(system.get("CpuCfsQuota"))
        return cls(
            rootless,
            any("selinux" in option for option in options),
            cgroups,
            # Groups of version 1 can't be delegated to a user, whatever Podman says.
            has_limits and not (rootless and cgroups == "1"),
            int(system.get("NCPU") or 1),
            int(system.get("MemTotal") or 0),
            str(system.get("Architecture") or ""),
            str(system.get("KernelVersion") or ""),
            str(system.get("DockerRootDir") or ""),
        )

    def disk_free(self) -> int | None:
        """Bytes where it keeps images; None if that is not on this machine."""
        if self.kernel != platform.release():
            return None
        with suppress(OSError):
            return shutil.disk_usage(self.root).free
        return None


@dataclass(frozen=True)
class PreparedEngine:
    """An engine that can run the pods of a cluster."""

    facts: EngineFacts
    pause_image: str
    """The identifier of the image that holds networks."""
    has_own_files: bool = False
    """Whether the files of pods are on its disk, and not on that of this machine."""
    reaches_pods: bool = False
    """Whether this machine is connected with the network of its containers."""


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over the socket of an engine."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class EngineRequests:
    """Requests to an engine, one connection each."""

    def __init__(self, address: EngineAddress, timeout: float) -> None:
        self.address = address
        self.api = ""
        self._timeout = timeout

    def __call__(self, method: str, path: str, body: Json | bytes | None = None, /, **query: str) -> Any:
        """The JSON of the answer, None if it has none. Raises: see `text`."""
        with suppress(ValueError):
            return json.loads(self.text(method, path, body, **query))
        return None

    def text(self, method: str, path: str, body: Json | bytes | None = None, /, **query: str) -> str:
        """The answer.

        Raises:
            EngineError: the engine refuses.
            EngineUnreachableError: it does not answer.
        """
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
        target = (f"/v{self.api}" if self.api else "") + path + (f"?{urlencode(query)}" if query else "")
        connection = self._connection()
        try:
            connection.request(method, target, content, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (FileNotFoundError, PermissionError, ConnectionRefusedError) as error:
            raise EngineUnreachableError(f"can't connect to {self.address}: {error.strerror}") from error
        except (OSError, http.client.HTTPException) as error:
            raise EngineUnreachableError(f"{self.address} does not answer {path}: {explain(error)}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise EngineError(answer.status, error_message(text))
        return text

    def _connection(self) -> http.client.HTTPConnection:
        if self.address.path:
            return _SocketConnection(self.address.path, self._timeout)
        if self.address.certificates:
            context = client_context(self.address.certificates)
            return http.client.HTTPSConnection(
                self.address.host, self.address.port, timeout=self._timeout, context=context
            )
        return http.client.HTTPConnection(self.address.host, self.address.port, timeout=self._timeout)

    def connect(self) -> EngineInfo:
        """Find out what answers. Raises as a request."""
        found = self("GET", "/version")
        if not isinstance(found, dict) or "ApiVersion" not in found:
            raise EngineError(200, f"{self.address} is not a container engine")
        info = describe(found)
        self.api = info.api
        return info


def find_engine(name: str, environment: Mapping[str, str], home: Path) -> FoundEngine:
    """The engine of this name that answers; with `auto`, any.

    Raises:
        RuntimeUnavailableError: none does; the message says what was tried.
    """
    tried: list[str] = []
    for engine in ENGINES if name == "auto" else [each for each in ENGINES if each == name]:
        found = candidates(engine, environment, home)
        if not found:
            tried.append(f"{engine}: no socket")
        for text in found:
            try:
                address = EngineAddress.parse(text)
                return FoundEngine(address, EngineRequests(address, _FIND_TIMEOUT).connect())
            except (AddressError, EngineError, EngineUnreachableError) as error:
                tried.append(f"{engine}: {error}")
    raise RuntimeUnavailableError("no container engine answers: " + "; ".join(tried))


def prepare_engine(address: EngineAddress, data_dir: Path, files: EngineFiles = "shared") -> PreparedEngine:
    """Check that an engine can run the pods of a data folder, and bring the image that it needs for that.

    Args:
        files: whose disk has the files of pods: that of this machine, the engine's own, or the first that is possible.

    Raises:
        RuntimeUnavailableError: it can't; the message says why and what to do.
        OSError: the folder can't be written.
    """
    request = EngineRequests(address, _PREPARE_TIMEOUT)
    try:
        info = request.connect()
        system = request("GET", "/info") or {}
        facts = EngineFacts.of(system)
        image = _bring_pause_image(request, facts)
        if files != "engine":
            try:
                _check_kernel(address, facts)
                _check_files_once(request, image, data_dir.resolve(), system)
                return PreparedEngine(facts, image, reaches_pods=_reaches_pods(request, info, facts))
            except RuntimeUnavailableError:
                if files == "shared":
                    raise
        check_volumes(request, image, cluster_labels(data_dir.resolve()))
    except (EngineError, EngineUnreachableError) as error:
        raise RuntimeUnavailableError(f"{error}. Check it with `c8s doctor`") from error
    return PreparedEngine(facts, image, has_own_files=True)


def _reaches_pods(request: EngineRequests, info: EngineInfo, facts: EngineFacts) -> bool:
    """Whether containers can be connected to from here, of an engine that shares the kernel and the files.

    The containers of a rootless engine have a network of their user's own. Docker may run in another network all the
    same, as in the virtual machine of WSL; Podman makes its bridge with the first container only.
    """
    return not facts.rootless and (info.name == "podman" or is_own_address(bridge_gateway(request)))


def _check_kernel(address: EngineAddress, facts: EngineFacts) -> None:
    """Check that containers share the kernel of this machine: pipes in volumes connect nothing otherwise."""
    ours = platform.release()
    if sys.platform != "linux" or facts.kernel != ours:
        raise RuntimeUnavailableError(
            f"the engine at {address} runs in another machine (kernel {facts.kernel or 'unknown'}, here {ours}), such "
            "as the virtual machine of Docker Desktop: its containers can't use pipes and sockets in volumes together "
            "with processes of this machine. Use an engine of this machine's own, or kind"
        )


def _bring_pause_image(request: EngineRequests, facts: EngineFacts) -> str:
    """The identifier of the image that holds networks."""
    content = program(facts.architecture)
    if content is None:
        raise RuntimeUnavailableError(
            f"the engine at {request.address} runs on {facts.architecture or 'an unknown architecture'}; supported are "
            "x86_64 and arm64"
        )
    tag = pause_image.image_tag(content)
    try:
        found = request("GET", f"/images/{tag}/json")
    except EngineError as error:
        if error.status != 404:
            raise
        # Podman ignores the parameter `tag` here.
        request("POST", "/images/create", pause_image.root_file_system(content), fromSrc="-", repo=tag)
        found = request("GET", f"/images/{tag}/json")
    # By its name, Podman would look for it in Docker's registry.
    return str(found["Id"])


def _check_files_once(request: EngineRequests, image: str, data_dir: Path, system: Json) -> None:
    """Check what `_check_files` does, unless it is known of this engine: that takes as long as a container's start.

    The command that starts a sandbox and its cluster both come here.
    """
    known = {name: system.get(name) for name in ("ID", "ServerVersion", "SecurityOptions")}
    known |= {"address": str(request.address), "folder": str(data_dir), "boot": _boot_id()}
    text = json.dumps(known, sort_keys=True)
    file = data_dir / _CHECKED_FILE
    with suppress(OSError, ValueError):
        if known["ID"] and file.read_text() == text:
            return
    file.unlink(missing_ok=True)
    _check_files(request, image, data_dir)
    file.write_text(text)


def _boot_id() -> str:
    """Changes when this machine is started."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _check_files(request: EngineRequests, image: str, data_dir: Path) -> None:
    """Check that a folder of this machine is the same for the engine."""
    folder = data_dir / "engine-check"
    folder.mkdir(mode=0o700, exist_ok=True)
    name = secrets.token_hex(8)
    mount = {"Type": "bind", "Source": str(folder), "Target": _CHECKED, "ReadOnly": True}
    body: Json = {"Image": image, "Entrypoint": [PROGRAM], "Labels": dict(cluster_labels(data_dir))}
    body["HostConfig"] = {"Mounts": [mount], "NetworkMode": "none"}
    try:
        (folder / name).touch()
        try:
            identifier = str(request("POST", "/containers/create", body)["Id"])
        except EngineError as error:
            raise _blind(request.address, data_dir, str(error)) from error
        try:
            request("HEAD", f"/containers/{identifier}/archive", path=f"{_CHECKED}/{name}")
        except EngineError as error:
            raise _blind(request.address, data_dir, "a file that was made there is not found by it") from error
        finally:
            request("DELETE", f"/containers/{identifier}", force="1", v="1")
    finally:
        (folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()


def _blind(address: EngineAddress, data_dir: Path, why: str) -> RuntimeUnavailableError:
    return RuntimeUnavailableError(
        f"the engine at {address} does not see the folder {data_dir} of this machine: {why}. An engine that is "
        "confined to parts of the file system, as that of a snap, needs $XDG_STATE_HOME in one of these"
    )


def read_facts(address: EngineAddress) -> EngineFacts:
    """What an engine says of itself.

    Raises:
        RuntimeUnavailableError: it does not answer.
    """
    request = EngineRequests(address, _FIND_TIMEOUT)
    try:
        request.connect()
        return EngineFacts.of(request("GET", "/info") or {})
    except (EngineError, EngineUnreachableError) as error:
        raise RuntimeUnavailableError(str(error)) from error
