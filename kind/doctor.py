"""Checks of the host for known problems with kind: what was found, why it matters, what to do.

`run_checks` and `inspect_host` collect the facts; the checks themselves are pure.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from kind.cluster_record import API_PORT, S3_PORT, port_is_free
from kind.errors import KindError
from kind.image.digests import DigestRecord
from kind.tools.docker_cli import Docker, DockerInfo
from kind.tools.kind_cli import INOTIFY_REMEDY, Kind
from kind.tools.process import CommandRunner, run

Level = Literal["ok", "warning", "error"]

GIB = 1024**3
_MIN_MEMORY, _RECOMMENDED_MEMORY = 2 * GIB, 4 * GIB
_MIN_DISK, _RECOMMENDED_DISK = 3 * GIB, 10 * GIB
_RECOMMENDED_INOTIFY_INSTANCES, _RECOMMENDED_INOTIFY_WATCHES = 256, 65536
_MIN_DOCKER = (20, 10)
_MAX_CLOCK_SKEW = 30.0
_CLUSTER_NETWORKS = ("10.244.0.0/16", "10.96.0.0/16", "172.18.0.0/16")
_CONTAINER_INTERFACES = ("docker", "br-", "veth", "lo", "cni", "podman")


@dataclass(frozen=True)
class Finding:
    """The result of a check. `why` and `remedy` are sentences; `remedy` is empty if there is no problem."""

    check: str
    level: Level
    found: str
    why: str
    remedy: str = ""


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


def inspect_host(info: DockerInfo | None, ports: Mapping[int, bool] | None = None) -> HostInfo:
    """Collect the facts about this host; `ports` replaces the check of the default ports."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "KIND_EXPERIMENTAL_PROVIDER", "DOCKER_HOST")
    found = {name: os.environ.get(name) or os.environ.get(name.lower()) or "" for name in names}
    return HostInfo(
        _disk_free(info.root if info is not None else ""),
        _read_number(Path("/proc/sys/fs/inotify/max_user_instances")),
        _read_number(Path("/proc/sys/fs/inotify/max_user_watches")),
        {port: port_is_free(port) for port in (API_PORT, S3_PORT)} if ports is None else ports,
        parse_routes(_read_text(Path("/proc/net/route"))),
        {name: value for name, value in found.items() if value},
        shutil.which("kubectl"),
    )


async def run_checks(
    run_command: CommandRunner = run, *, digests: Path | None = None, images: Iterable[str] = ()
) -> list[Finding]:
    """Run all checks, except those that need something that failed.

    Args:
        digests: the file in which the digests of images are recorded; None for no check of images.
        images: the images to compare with it.
    """
    info: DockerInfo | None = None
    findings: list[Finding] = []
    try:
        info = await Docker(run_command).info()
    except KindError as error:
        findings.append(Finding("docker", "error", error.message, "kind's nodes are Docker containers.", error.remedy))
    host = inspect_host(info)
    if info is not None:
        findings += check_docker(info, host, time.time())
        if digests is not None:
            record = DigestRecord(digests, Docker(run_command))
            findings += [await _check_image(record, each) for each in images]
    findings.append(await _check_kind(run_command))
    return [*findings, *check_host(host)]


async def _check_image(record: DigestRecord, image: str) -> Finding:
    why = "A tag may name another image than before; a reference with a digest (NAME@sha256:…) can't."
    try:
        check = await record.compare(image)
    except KindError as error:
        return Finding("image", "warning", error.message, why, error.remedy)
    if check.warning:
        return Finding("image", "warning", check.warning, why, check.remedy)
    said = {
        "absent": "is not on this host",
        "pinned": "is chosen by its digest",
        "new": "is on this host and not used yet",
        "same": f"is {check.found.digest if check.found else ''}, as recorded",
    }
    return Finding("image", "ok", f"{image} {said[check.state]}", why)


async def _check_kind(runs: CommandRunner) -> Finding:
    why = "It creates the cluster."
    try:
        version = await Kind(runs).version()
    except KindError as error:
        return Finding("kind", "error", error.message, why, error.remedy)
    return Finding("kind", "ok", f"version {'.'.join(map(str, version))}", why)


def check_docker(info: DockerInfo, host: HostInfo, now: float) -> list[Finding]:
    """The findings about the Docker engine."""
    return [
        _check_engine(info),
        _check_size("memory", info.memory, _MIN_MEMORY, _RECOMMENDED_MEMORY, "A node and a few steps need 2 to 4 GiB."),
        *([] if host.disk_free is None else [_check_disk(host.disk_free)]),
        _check_cgroups(info),
        *_check_clock(info, now),
        *_check_image_store(info),
    ]


def check_host(host: HostInfo) -> list[Finding]:
    """The findings about the host outside of the engine."""
    return [
        *_check_inotify(host),
        *_check_ports(host.ports),
        *_check_routes(host.routes),
        *_check_proxies(host.environment),
        *_check_provider(host),
        _check_kubectl(host),
    ]


def _check_engine(info: DockerInfo) -> Finding:
    why = "kind's nodes are Docker containers."
    if not info.server_version:
        return Finding(
            "docker", "error", "`docker` is not a Docker engine (podman?)", why, "Install Docker, or Docker Desktop."
        )
    numbers = tuple(int(part) for part in info.server_version.split("+")[0].split(".")[:2] if part.isdigit())
    if numbers < _MIN_DOCKER:
        return Finding(
            "docker", "error", f"Docker {info.server_version}", "Nodes need 20.10 or newer.", "Update Docker."
        )
    return Finding("docker", "ok", f"Docker {info.server_version} on {info.operating_system}, {info.cpus} CPUs", why)


def _check_size(check: str, size: int, least: int, good: int, why: str) -> Finding:
    found = f"{size / GIB:.1f} GiB"
    if size < least:
        return Finding(check, "error", found, why, "Give Docker more (Docker Desktop: Settings, Resources).")
    if size < good:
        return Finding(check, "warning", found, why, "Give Docker more to run several steps at once.")
    return Finding(check, "ok", found, why)


def _check_disk(free: int) -> Finding:
    why = "The image of the node and those of steps take about 3 GiB; below 10 % free a node evicts its pods."
    found = f"{free / GIB:.1f} GiB free"
    level: Level = "error" if free < _MIN_DISK else "warning" if free < _RECOMMENDED_DISK else "ok"
    return Finding(
        "disk",
        level,
        found,
        why,
        "" if level == "ok" else "Free some space: `docker system prune` removes unused data.",
    )


def _check_cgroups(info: DockerInfo) -> Finding:
    why = "Kubernetes drops cgroup v1, and rootless engines can't enforce limits with it."
    found = f"cgroup v{info.cgroup_version or '?'}" + (", rootless" if info.rootless else "")
    if info.rootless and info.cgroup_version == "1":
        return Finding(
            "cgroups", "error", found, why, "Boot with systemd.unified_cgroup_hierarchy=1, or use Docker with root."
        )
    if info.cgroup_version == "1":
        return Finding(
            "cgroups",
            "warning",
            found,
            why,
            "It still works; switch with systemd.unified_cgroup_hierarchy=1 at the next boot.",
        )
    return Finding("cgroups", "ok", found, why)


def _check_clock(info: DockerInfo, now: float) -> list[Finding]:
    try:
        engine_time = datetime.fromisoformat(info.system_time[:19] + "+00:00").timestamp()
    except ValueError:
        return []
    skew = abs(engine_time - now)
    why = "Tokens and signed links expire: clocks that differ reject them. The clock of a VM falls behind during sleep."
    if skew > _MAX_CLOCK_SKEW:
        return [
            Finding("clock", "warning", f"Docker's clock is {skew:.0f} s off", why, "Restart Docker, or set its clock.")
        ]
    return [Finding("clock", "ok", f"Docker's clock is within {_MAX_CLOCK_SKEW:.0f} s", why)]


def _check_image_store(info: DockerInfo) -> list[Finding]:
    if not info.containerd_store:
        return []
    why = "`kind load` fails for multi-platform images in this store."
    return [
        Finding(
            "image store", "ok", "Docker stores images in containerd; they are loaded onto the node as archives", why
        )
    ]


def _check_inotify(host: HostInfo) -> list[Finding]:
    if host.inotify_instances is None or host.inotify_watches is None:
        return []
    why = "Each node and each program that watches files uses some; without them kind fails with `too many open files`."
    found = f"{host.inotify_instances} instances, {host.inotify_watches} watches"
    if (
        host.inotify_instances >= _RECOMMENDED_INOTIFY_INSTANCES
        and host.inotify_watches >= _RECOMMENDED_INOTIFY_WATCHES
    ):
        return [Finding("inotify", "ok", found, why)]
    return [Finding("inotify", "warning", found, why, INOTIFY_REMEDY)]


def _check_ports(ports: Mapping[int, bool]) -> list[Finding]:
    why = "The API and the object store listen on 127.0.0.1."
    taken = [str(port) for port, free in sorted(ports.items()) if not free]
    if not ports:
        return []
    if taken:
        return [Finding("ports", "ok", f"{', '.join(taken)} in use (by a sandbox?); the next free ones are used", why)]
    return [Finding("ports", "ok", f"{', '.join(map(str, sorted(ports)))} free", why)]


def _check_routes(routes: Iterable[tuple[str, str]]) -> list[Finding]:
    why = "Pods, services and nodes use these ranges: a VPN that routes one of them intercepts their traffic."
    cluster_networks = [ipaddress.ip_network(each) for each in _CLUSTER_NETWORKS]
    found = [
        f"{network} by {interface}"
        for network, interface in routes
        if not interface.startswith(_CONTAINER_INTERFACES)
        and ipaddress.ip_network(network).prefixlen > 0
        and any(ipaddress.ip_network(network).overlaps(each) for each in cluster_networks)
    ]
    if not found:
        return [Finding("routes", "ok", "no other route overlaps the ranges of the cluster", why)]
    remedy = "Disconnect the VPN or narrow its routes; `docker network` can use another range."
    return [Finding("routes", "warning", "; ".join(found), why, remedy)]


def _check_proxies(environment: Mapping[str, str]) -> list[Finding]:
    why = "A proxy can't reach 127.0.0.1 of this host, and nodes pull images through it."
    used = [name for name in ("HTTP_PROXY", "HTTPS_PROXY") if environment.get(name)]
    if not used:
        return [Finding("proxies", "ok", "none is set", why)]
    # Not their values, which may contain a password.
    exempt = {each.strip() for each in environment.get("NO_PROXY", "").split(",")}
    if exempt & {"127.0.0.1", "*", "127.0.0.0/8"} and exempt & {"localhost", "*"}:
        return [Finding("proxies", "ok", f"{', '.join(used)} set, not for this host", why)]
    remedy = "`export NO_PROXY=127.0.0.1,localhost,.svc,10.96.0.0/16,10.244.0.0/16`."
    return [Finding("proxies", "warning", f"{', '.join(used)} set, also for 127.0.0.1", why, remedy)]


def _check_provider(host: HostInfo) -> list[Finding]:
    provider = host.environment.get("KIND_EXPERIMENTAL_PROVIDER", "docker")
    if provider == "docker":
        return []
    why = "c8s starts and stops nodes with `docker`."
    return [
        Finding("provider", "error", f"KIND_EXPERIMENTAL_PROVIDER={provider[:40]}", why, "Unset it, and use Docker.")
    ]


def _check_kubectl(host: HostInfo) -> Finding:
    why = "Optional: c8s does not use it."
    return Finding("kubectl", "ok", host.kubectl or "not on PATH", why)


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


def to_dicts(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """The findings as JSON values."""
    return [asdict(each) for each in findings]


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
