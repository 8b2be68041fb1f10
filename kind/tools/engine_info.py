"""What a container engine tells about itself, in one form for Docker, Podman and nerdctl."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

ENGINE_NAMES = {"docker": "Docker", "podman": "Podman", "nerdctl": "nerdctl"}
"""The programs that kind can use, in the order in which they are looked for, with their names."""


@dataclass(frozen=True)
class EngineInfo:
    """The output of `docker info`, `podman info` or `nerdctl info`. Sizes are in bytes."""

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
    """The clock of the engine, RFC 3339; empty for one that does not tell."""
    program: str = "docker"
    controllers: tuple[str, ...] | None = None
    """The cgroup controllers that containers can use; None if the engine does not tell."""

    @property
    def rootless(self) -> bool:
        return any("rootless" in option for option in self.security_options)


def parse_info(raw: Json, program: str = "docker") -> EngineInfo:
    """`docker info --format {{json .}}`, or that of nerdctl, from an engine that answered."""
    status = raw.get("DriverStatus") or []
    return EngineInfo(
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
        program=program,
        containerd_store=any("io.containerd.snapshotter" in str(pair) for pair in status),
    )


def parse_podman_info(raw: Json) -> EngineInfo:
    """`podman info --format json`."""
    host, store = raw.get("host") or {}, raw.get("store") or {}
    version = raw.get("version") or {}
    distribution = host.get("distribution") or {}
    controllers = host.get("cgroupControllers")
    return EngineInfo(
        server_version=str(version.get("Version") or ""),
        client_version=str(version.get("Version") or ""),
        operating_system=f"{distribution.get('distribution', '')} {distribution.get('version', '')}".strip(),
        architecture=str(host.get("arch") or ""),
        cpus=int(host.get("cpus") or 0),
        memory=int(host.get("memTotal") or 0),
        cgroup_version=str(host.get("cgroupVersion") or "").lstrip("v"),
        storage_driver=str(store.get("graphDriverName") or ""),
        # That of a virtual machine is no folder of this host.
        root="" if host.get("serviceIsRemote") else str(store.get("graphRoot") or ""),
        security_options=("name=rootless",) if (host.get("security") or {}).get("rootless") else (),
        proxies={},
        warnings=(),
        containerd_store=False,
        system_time="",
        program="podman",
        controllers=tuple(map(str, controllers)) if isinstance(controllers, list) else None,
    )
