"""Checks of the host for known problems with kind: what was found, why it matters, what to do.

`run_checks` collects the facts; the checks themselves are pure.
"""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kind.doctor.engine_checks import check_engine
from kind.doctor.finding import Finding
from kind.doctor.host import HostInfo, inspect_host
from kind.errors import KindError
from kind.image.digests import DigestRecord
from kind.provider import choose_provider
from kind.tools.docker_cli import Docker
from kind.tools.engine_info import ENGINE_NAMES, EngineInfo
from kind.tools.kind_cli import INOTIFY_REMEDY, Kind
from kind.tools.process import CommandRunner, run

RECOMMENDED_INOTIFY_INSTANCES, RECOMMENDED_INOTIFY_WATCHES = 256, 65536
_CLUSTER_NETWORKS = ("10.244.0.0/16", "10.96.0.0/16", "172.18.0.0/16")
_CONTAINER_INTERFACES = ("docker", "br-", "veth", "lo", "cni", "podman")


async def run_checks(
    run_command: CommandRunner = run, *, digests: Path | None = None, images: Iterable[str] = (), provider: str = ""
) -> list[Finding]:
    """Run all checks, except those that need something that failed.

    Args:
        digests: the file in which the digests of images are recorded; None for no check of images.
        images: the images to compare with it.
        provider: the engine, as the command line names it; empty for the one that is chosen without it.
    """
    info: EngineInfo | None = None
    findings: list[Finding] = []
    why = "kind's nodes are containers of Docker, Podman or nerdctl."
    try:
        chosen = await choose_provider(os.environ, given=provider, run_command=run_command)
    except KindError as error:
        findings.append(Finding("provider", "error", error.message, why, error.remedy))
    else:
        info = chosen.info
        findings.append(Finding("provider", "ok", f"{ENGINE_NAMES[chosen.program]}: {chosen.why}", why))
    host = inspect_host(info)
    if info is not None:
        findings += check_engine(info, host, time.time())
        if digests is not None:
            record = DigestRecord(digests, Docker(run_command, info.program))
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


def check_host(host: HostInfo) -> list[Finding]:
    """The findings about the host outside of the engine."""
    return [
        *_check_inotify(host),
        *_check_ports(host.ports),
        *_check_routes(host.routes),
        *_check_proxies(host.environment),
        _check_kubectl(host),
    ]


def _check_inotify(host: HostInfo) -> list[Finding]:
    if host.inotify_instances is None or host.inotify_watches is None:
        return []
    why = "Each node and each program that watches files uses some; without them kind fails with `too many open files`."
    found = f"{host.inotify_instances} instances, {host.inotify_watches} watches"
    if host.inotify_instances >= RECOMMENDED_INOTIFY_INSTANCES and host.inotify_watches >= RECOMMENDED_INOTIFY_WATCHES:
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


def _check_kubectl(host: HostInfo) -> Finding:
    why = "Optional: c8s does not use it."
    return Finding("kubectl", "ok", host.kubectl or "not on PATH", why)


def to_dicts(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """The findings as JSON values."""
    return [asdict(each) for each in findings]
