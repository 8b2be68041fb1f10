"""Checks of the engine that kind uses, pure: Docker, Podman with its known troubles, nerdctl with what kind lacks.

What rootless engines need is from https://kind.sigs.k8s.io/docs/user/rootless/.
"""

from __future__ import annotations

import re
from datetime import datetime

from kind.doctor.finding import GIB, Finding, Level
from kind.doctor.host import HostInfo
from kind.tools.engine_info import ENGINE_NAMES, EngineInfo

_MIN_MEMORY, _RECOMMENDED_MEMORY = 2 * GIB, 4 * GIB
_MIN_DISK, _RECOMMENDED_DISK = 3 * GIB, 10 * GIB
_MIN_VERSIONS = {"docker": (20, 10), "podman": (3, 0), "nerdctl": (1, 7)}
_MAX_CLOCK_SKEW = 30.0
_MORE_MEMORY = {
    "docker": "Docker Desktop: Settings, Resources",
    "podman": "`podman machine stop; podman machine set --memory 6144; podman machine start`",
}
_NEEDED_CONTROLLERS = ("cpu", "memory", "pids")
_NEEDED_MODULES = ("ip_tables", "iptable_nat", "ip6_tables", "ip6table_nat")
_MIN_PIDS = 4096
DELEGATION_REMEDY = (
    "As root: `mkdir -p /etc/systemd/system/user@.service.d`, write `[Service]` and `Delegate=yes` as two lines to "
    "delegate.conf in it, `systemctl daemon-reload`, and log in again."
)


def check_engine(info: EngineInfo, host: HostInfo, now: float) -> list[Finding]:
    """The findings about the engine that kind uses."""
    return [
        _check_version(info),
        _check_memory(info),
        *([] if host.disk_free is None else [_check_disk(host.disk_free, info.program)]),
        _check_cgroups(info),
        *_check_clock(info, now),
        *_check_image_store(info),
        *(_check_podman(info, host) if info.program == "podman" else ()),
        *(_check_nerdctl() if info.program == "nerdctl" else ()),
    ]


def _check_version(info: EngineInfo) -> Finding:
    why = "kind's nodes are containers of it."
    title, program = ENGINE_NAMES[info.program], info.program
    if not info.server_version:
        remedy = f"Install {title}, or use Podman as such: `--provider podman`."
        return Finding(program, "error", f"`{program}` is not {title} (podman?)", why, remedy)
    numbers = tuple(int(part) for part in re.findall(r"\d{1,6}", info.server_version)[:2])
    least = _MIN_VERSIONS[program]
    found = f"{title} {info.server_version}"
    if numbers < least:
        return Finding(program, "error", found, f"Nodes need {'.'.join(map(str, least))} or newer.", f"Update {title}.")
    return Finding(program, "ok", f"{found} on {info.operating_system}, {info.cpus} CPUs", why)


def _check_memory(info: EngineInfo) -> Finding:
    why, found = "A node and a few steps need 2 to 4 GiB.", f"{info.memory / GIB:.1f} GiB"
    more = _MORE_MEMORY.get(info.program, "give its virtual machine more")
    if info.memory < _MIN_MEMORY:
        return Finding("memory", "error", found, why, f"Give {ENGINE_NAMES[info.program]} more ({more}).")
    if info.memory < _RECOMMENDED_MEMORY:
        remedy = f"Give {ENGINE_NAMES[info.program]} more to run several steps at once ({more})."
        return Finding("memory", "warning", found, why, remedy)
    return Finding("memory", "ok", found, why)


def _check_disk(free: int, program: str) -> Finding:
    why = "The image of the node and those of steps take about 3 GiB; below 10 % free a node evicts its pods."
    found = f"{free / GIB:.1f} GiB free"
    level: Level = "error" if free < _MIN_DISK else "warning" if free < _RECOMMENDED_DISK else "ok"
    return Finding(
        "disk",
        level,
        found,
        why,
        "" if level == "ok" else f"Free some space: `{program} system prune` removes unused data.",
    )


def _check_cgroups(info: EngineInfo) -> Finding:
    why = "Kubernetes drops cgroup v1, and rootless engines can't enforce limits with it."
    found = f"cgroup v{info.cgroup_version or '?'}" + (", rootless" if info.rootless else "")
    if info.rootless and info.cgroup_version == "1":
        return Finding(
            "cgroups", "error", found, why, "Boot with systemd.unified_cgroup_hierarchy=1, or run the engine as root."
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


def _check_clock(info: EngineInfo, now: float) -> list[Finding]:
    try:
        engine_time = datetime.fromisoformat(info.system_time[:19] + "+00:00").timestamp()
    except ValueError:
        return []
    skew = abs(engine_time - now)
    why = "Tokens and signed links expire: clocks that differ reject them. The clock of a VM falls behind during sleep."
    if skew > _MAX_CLOCK_SKEW:
        return [
            Finding(
                "clock",
                "warning",
                f"The engine's clock is {skew:.0f} s off",
                why,
                "Restart the engine, or set its clock.",
            )
        ]
    return [Finding("clock", "ok", f"The engine's clock is within {_MAX_CLOCK_SKEW:.0f} s", why)]


def _check_image_store(info: EngineInfo) -> list[Finding]:
    if not info.containerd_store:
        return []
    why = "`kind load` fails for multi-platform images in this store."
    return [
        Finding(
            "image store", "ok", "Docker stores images in containerd; they are loaded onto the node as archives", why
        )
    ]


def _check_podman(info: EngineInfo, host: HostInfo) -> list[Finding]:
    return [*_check_delegation(info), *_check_modules(info, host), *_check_pids(host), *_check_storage(info)]


def _check_delegation(info: EngineInfo) -> list[Finding]:
    if info.controllers is None or info.cgroup_version != "2":
        return []
    why = "A node passes limits on to its pods: the engine must have the controllers of cgroups."
    missing = [each for each in _NEEDED_CONTROLLERS if each not in info.controllers]
    if not missing:
        return [Finding("delegation", "ok", f"it has {', '.join(info.controllers)}", why)]
    found = f"the user has no controller {', '.join(missing)}"
    return [Finding("delegation", "error", found, why, DELEGATION_REMEDY)]


def _check_modules(info: EngineInfo, host: HostInfo) -> list[Finding]:
    if not info.rootless or host.modules is None:
        return []
    why = "A node without the rights of root can't load modules of the kernel, and its Services use iptables."
    missing = [each for each in _NEEDED_MODULES if each not in host.modules]
    if not missing:
        return [Finding("iptables", "ok", "the modules are loaded", why)]
    words = " ".join(missing)
    remedy = (
        f"`sudo modprobe -a {words}`; put the names into /etc/modules-load.d/iptables.conf, one a line, to keep them."
    )
    return [Finding("iptables", "warning", f"not loaded: {', '.join(missing)}", why, remedy)]


def _check_pids(host: HostInfo) -> list[Finding]:
    if host.pids_limit is None:
        return []
    why = "All processes of all pods count as those of the node's container."
    if host.pids_limit == 0 or host.pids_limit >= _MIN_PIDS:
        found = f"{host.pids_limit} processes a container" if host.pids_limit else "no limit"
        return [Finding("pids limit", "ok", found, why)]
    remedy = (
        "Write `pids_limit = 65536` below `[containers]` in ~/.config/containers/containers.conf (as root: "
        "/etc/containers/containers.conf); it holds for clusters that are created afterwards."
    )
    return [Finding("pids limit", "warning", f"{host.pids_limit} processes a container", why, remedy)]


def _check_storage(info: EngineInfo) -> list[Finding]:
    why = "The driver `vfs` copies every layer of every image as a whole: it takes many times the space and time."
    if info.storage_driver != "vfs":
        return [Finding("storage", "ok", f"driver {info.storage_driver}", why)]
    remedy = (
        'Write `driver = "overlay"` below `[storage]` in ~/.config/containers/storage.conf (older kernels need '
        "fuse-overlayfs), then `podman system reset`, which removes all its images and containers."
    )
    return [Finding("storage", "warning", "driver vfs", why, remedy)]


def _check_nerdctl() -> list[Finding]:
    why = "kind's support of nerdctl is experimental."
    found = "images are loaded as archives, no node image is kept, and `nerdctl build` needs buildkitd"
    return [Finding("nerdctl limits", "ok", found, why)]
