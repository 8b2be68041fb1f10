"""Memory and CPU limits of containers by cgroups (v1 and v2), where the system lets this process create some.

That is where a cgroup is delegated: it belongs to the user who runs the cluster, or systemd has marked it
(`Delegate=yes`). With `own` the user asserts it, as root must: every cgroup looks writable to root. Elsewhere limits
have no effect, and the Node's condition `LimitsEnforced` says so.

This module kills no processes except those that it finds in a group that is to be removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from embedded.api.quantity import parse_quantity
from embedded.kubelet.runtime.interface import Usage

Json = dict[str, Any]
CgroupMode = Literal["auto", "own", "none"]

_CONTROLLERS = ("memory", "cpu")
_PERIOD_US = 100_000
_MIN_QUOTA_US = 1000
_REMOVE_TIMEOUT = 2.0
"""Seconds to wait for the processes in a group to die."""
_JOIN_SCRIPT = 'echo 0 > "$0" && exec "$@"'


class CgroupError(Exception):
    """A group can't be created or limited; the message says which and why."""


@dataclass(frozen=True)
class Limits:
    """The limits of a container; None: no limit."""

    memory: int | None
    """Bytes."""
    cpu: int | None
    """Microseconds of CPU time in each period of 100,000."""

    @classmethod
    def of(cls, container: Json) -> Limits:
        given = (container.get("resources") or {}).get("limits") or {}
        memory, cpu = given.get("memory"), given.get("cpu")
        quota = None if cpu is None else max(_MIN_QUOTA_US, int(parse_quantity(cpu) * _PERIOD_US))
        return cls(None if memory is None else int(parse_quantity(memory)), quota)

    def __bool__(self) -> bool:
        return self.memory is not None or self.cpu is not None


class ContainerCgroup:
    """The groups of one container: one per controller with v1, one in all with v2."""

    def __init__(self, folders: Mapping[str, Path], limits: Limits) -> None:
        self._folders = folders
        try:
            for folder in set(folders.values()):
                folder.mkdir(parents=True, exist_ok=True)
            self._limit(limits)
        except OSError as error:
            self.close()
            raise CgroupError(f"can't limit the container by a cgroup: {error}") from error

    def _limit(self, limits: Limits) -> None:
        if "" in self._folders:
            folder = self._folders[""]
            if limits.memory is not None:
                (folder / "memory.max").write_text(str(limits.memory))
                _write_if_exists(folder / "memory.swap.max", "0")
                _write_if_exists(folder / "memory.oom.group", "1")
            if limits.cpu is not None:
                (folder / "cpu.max").write_text(f"{limits.cpu} {_PERIOD_US}")
            return
        if limits.memory is not None and "memory" in self._folders:
            (self._folders["memory"] / "memory.limit_in_bytes").write_text(str(limits.memory))
            _write_if_exists(self._folders["memory"] / "memory.memsw.limit_in_bytes", str(limits.memory))
        if limits.cpu is not None and "cpu" in self._folders:
            (self._folders["cpu"] / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (self._folders["cpu"] / "cpu.cfs_quota_us").write_text(str(limits.cpu))

    def join_command(self, argv: list[str]) -> list[str]:
        """A command that enters the groups and then executes this one, so that nothing it starts is outside."""
        for folder in sorted(set(self._folders.values())):
            argv = ["/bin/sh", "-c", _JOIN_SCRIPT, str(folder / "cgroup.procs"), *argv]
        return argv

    def killed_for_memory(self) -> bool:
        """Whether the kernel killed a process of the group because it reached the memory limit."""
        for folder, name in (
            (self._folders.get(""), "memory.events"),
            (self._folders.get("memory"), "memory.oom_control"),
        ):
            if folder is not None:
                with contextlib.suppress(OSError):
                    match = re.search(r"^oom_kill (\d+)$", (folder / name).read_text(), re.MULTILINE)
                    return match is not None and int(match.group(1)) > 0
        return False

    def usage(self) -> Usage | None:
        """CPU time and memory of the group; None where not both are accounted for."""
        try:
            if "" in self._folders:
                folder = self._folders[""]
                stat = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
                memory = int((folder / "memory.current").read_text())
                return Usage(int(stat["usage_usec"]) / 1e6, memory - _inactive_file(folder, "inactive_file"))
            nanoseconds = int((self._folders["cpu"] / "cpuacct.usage").read_text())
            memory = int((self._folders["memory"] / "memory.usage_in_bytes").read_text())
            inactive = _inactive_file(self._folders["memory"], "total_inactive_file")
            return Usage(nanoseconds / 1e9, memory - inactive)
        except (OSError, KeyError, ValueError):
            return None

    def close(self) -> None:
        """Remove the groups, killing the processes that are still in them."""
        for folder in set(self._folders.values()):
            _remove(folder)


def _inactive_file(folder: Path, name: str) -> int:
    """Bytes of files in memory that were not used of late, which the kernel takes back when it needs memory."""
    match = re.search(rf"^{name} (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
    return int(match[1]) if match is not None else 0


class Cgroups:
    """Creates the groups of containers below a group of this process.

    Attributes:
        reason: why limits are enforced, or not, for the user.
    """

    def __init__(self, folders: Mapping[str, Path], reason: str) -> None:
        self._folders = folders
        self.reason = reason

    @property
    def enforced(self) -> bool:
        return bool(self._folders)

    def create(self, container: Json, name: str) -> ContainerCgroup | None:
        """Create the groups of a container; None when it has no limits, or they can't be enforced here.

        Raises:
            CgroupError: they can't be created.
        """
        limits = Limits.of(container)
        if not limits or not self._folders:
            return None
        folders = {
            controller: folder / name
            for controller, folder in self._folders.items()
            if controller == "" or getattr(limits, controller) is not None
        }
        return ContainerCgroup(folders, limits) if folders else None

    def close(self) -> None:
        for folder in self._folders.values():
            _remove(folder)


def detect(mode: CgroupMode, *, proc: Path = Path("/proc/self"), system: Path = Path("/sys/fs/cgroup")) -> Cgroups:
    """Find out whether limits can be enforced, and prepare the parent group.

    Args:
        mode: `auto` uses a delegated cgroup only, `own` the cluster's own in any case, `none` none.
    """
    if mode == "none" or sys.platform != "linux":
        return Cgroups({}, "limits are switched off" if mode == "none" else "this system has no cgroups")
    own = _own_groups(proc, system)
    if not own:
        return Cgroups({}, "no memory controller is mounted in /sys/fs/cgroup")
    for folder in own.values():
        if mode == "auto" and not _is_delegated(folder):
            return Cgroups({}, f"the cgroup {folder} is not delegated to this user")
    made = {controller: folder / f"c8s-{os.getpid()}" for controller, folder in own.items()}
    try:
        for folder in own.values():
            _remove_stale(folder)
        if "" in own:
            _delegate_controllers(own[""])
        for folder in made.values():
            folder.mkdir(exist_ok=True)
        if "" in made:
            _delegate_controllers(made[""])
    except OSError as error:
        return Cgroups({}, f"can't create a cgroup for pods: {error}")
    return Cgroups(made, f"limits are enforced by cgroups below {', '.join(sorted(str(f) for f in own.values()))}")


def _own_groups(proc: Path, system: Path) -> dict[str, Path]:
    """This process's own groups by controller; with v2 a single one, by the empty name."""
    groups: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in (proc / "cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            groups |= dict.fromkeys(names.split(","), path)
    if "memory" in groups:
        found = {name: system / name / groups[name].lstrip("/") for name in _CONTROLLERS if name in groups}
        return {name: folder for name, folder in found.items() if folder.is_dir()}
    folder = system / groups.get("", "/").lstrip("/")
    with contextlib.suppress(OSError):
        if "" in groups and "memory" in (folder / "cgroup.controllers").read_text().split():
            return {"": folder}
    return {}


def _is_delegated(folder: Path) -> bool:
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    with contextlib.suppress(OSError):
        return os.getuid() != 0 and folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK)
    return False


def _delegate_controllers(folder: Path) -> None:
    """Enable the controllers for the children of a v2 group; if this process is in it, it moves to a leaf first."""
    control = folder / "cgroup.subtree_control"
    if "memory" in control.read_text().split():
        return
    enabled = [name for name in _CONTROLLERS if name in (folder / "cgroup.controllers").read_text().split()]
    inside = (folder / "cgroup.procs").read_text().split()
    if inside == [str(os.getpid())]:
        leaf = folder / f"c8s-{os.getpid()}-cluster"
        leaf.mkdir(exist_ok=True)
        (leaf / "cgroup.procs").write_text("0")
    control.write_text(" ".join(f"+{name}" for name in enabled))


def _remove_stale(folder: Path) -> None:
    """Remove the groups of clusters that were killed."""
    for left in folder.glob("c8s-*"):
        pid = left.name.split("-")[1]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            _remove(left)


def _write_if_exists(file: Path, text: str) -> None:
    with contextlib.suppress(OSError):
        if file.exists():
            file.write_text(text)


def _remove(folder: Path) -> None:
    """Remove a group and its children, killing the processes in them. One that can't be removed stays, empty."""
    if not folder.is_dir():
        return
    for below in folder.iterdir():
        if below.is_dir():
            _remove(below)
    deadline = time.monotonic() + _REMOVE_TIMEOUT
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            _kill_inside(folder)
            if time.monotonic() > deadline:
                return
            time.sleep(0.002)
        else:
            return


def _kill_inside(folder: Path) -> None:
    inside: list[str] = []
    with contextlib.suppress(OSError):
        inside = (folder / "cgroup.procs").read_text().split()
    for pid in inside:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(pid), signal.SIGKILL)
