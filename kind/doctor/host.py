"""Facts about this host, for the checks."""

from __future__ import annotations

import ipaddress
import os
import platform
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kind.cluster_record import API_PORT, S3_PORT, port_is_free
from kind.tools.engine_info import EngineInfo

_PIDS_LIMIT = re.compile(r"^\s*pids_limit\s*=\s*(-?\d{1,9})\s*(?:#.*)?$", re.MULTILINE)
_DEFAULT_PIDS_LIMIT = 2048
"""Of Podman, without a configuration."""


@dataclass(frozen=True)
class HostInfo:
    """Facts about the host; None for those that are not available."""

    disk_free: int | None = None
    inotify_instances: int | None = None
    inotify_watches: int | None = None
    ports: Mapping[int, bool] = field(default_factory=dict)
    """Port -> whether it is free."""
    routes: tuple[tuple[str, str], ...] = ()
    """Network and interface."""
    environment: Mapping[str, str] = field(default_factory=dict)
    kubectl: str | None = None
    modules: frozenset[str] | None = None
    """The loaded or built-in modules of the kernel."""
    pids_limit: int | None = None
    """Processes of a container, by the configuration of Podman; 0 for no limit."""


def inspect_host(info: EngineInfo | None, ports: Mapping[int, bool] | None = None) -> HostInfo:
    """Collect the facts about this host; `ports` replaces the check of the default ports."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "DOCKER_HOST")
    found = {name: os.environ.get(name) or os.environ.get(name.lower()) or "" for name in names}
    return HostInfo(
        _disk_free(info.root if info is not None else ""),
        _read_number(Path("/proc/sys/fs/inotify/max_user_instances")),
        _read_number(Path("/proc/sys/fs/inotify/max_user_watches")),
        {port: port_is_free(port) for port in (API_PORT, S3_PORT)} if ports is None else ports,
        parse_routes(_read_text(Path("/proc/net/route"))),
        {name: value for name, value in found.items() if value},
        shutil.which("kubectl"),
        _modules(),
        pids_limit([_read_text(file) for file in _containers_conf()]),
    )


def parse_routes(text: str) -> tuple[tuple[str, str], ...]:
    """Parse /proc/net/route of Linux, with networks and masks in little-endian hexadecimal."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8:
            continue
        address, mask = (int.from_bytes(bytes.fromhex(fields[n]), "little") for n in (1, 7))
        network = ipaddress.ip_network((address & mask, bin(mask).count("1")))
        found.append((str(network), fields[0]))
    return tuple(found)


def pids_limit(files: Iterable[str]) -> int:
    """The limit on the processes of a container by the texts of containers.conf, the last of which counts."""
    limit = _DEFAULT_PIDS_LIMIT
    for text in files:
        for found in _PIDS_LIMIT.finditer(text):
            limit = max(0, int(found[1]))
    return limit


def _containers_conf() -> list[Path]:
    """The files of Podman's configuration, in the order in which it reads them."""
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "containers"
    folders = (Path("/usr/share/containers"), Path("/etc/containers"), own)
    return [
        file
        for folder in folders
        for file in (folder / "containers.conf", *sorted((folder / "containers.conf.d").glob("*.conf")))
    ]


def _modules() -> frozenset[str] | None:
    """The modules of the kernel that are loaded or built in; None where that can't be read."""
    loaded = _read_text(Path("/proc/modules"))
    built_in = _read_text(Path("/lib/modules") / platform.release() / "modules.builtin")
    if not loaded and not built_in:
        return None
    names = [line.split()[0] for line in loaded.splitlines() if line.strip()]
    names += [Path(line.strip()).name.partition(".ko")[0].replace("-", "_") for line in built_in.splitlines()]
    return frozenset(names)


def _disk_free(root: str) -> int | None:
    """Free bytes of the disk with Docker's images; None if they are in a virtual machine."""
    try:
        return shutil.disk_usage(root).free if root else None
    except OSError:
        return None


def _read_number(file: Path) -> int | None:
    text = _read_text(file).strip()
    return int(text) if text.isdigit() else None


def _read_text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
