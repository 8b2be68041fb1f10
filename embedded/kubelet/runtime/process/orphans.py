"""Finds and kills the processes that a container leaves behind.

Every process of a container names its owner in its environment: the pod's uid and the container's name. On Linux the
cluster is a child subreaper, so a process that detaches itself from its parents becomes a child of the cluster and is
found among its children; after a crash of the cluster, all processes of the machine are searched for the variable.
A process that has cleared its environment is still recognized by its output (the container's pipe) or its working
directory (in the pod's folder), or after a crash by its session.

macOS has neither subreapers nor /proc: there only the process group of a container is killed, and a process that left
the group or survived a crash of the cluster keeps running.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

OWNER_ENV = "EMBEDDED_CONTAINER"
"""Environment variable: `uid/container`, after the owners of the containers that this cluster runs in, if any."""

_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform == "linux"
_KILL_TIMEOUT = 10.0
"""Seconds until processes that do not die after SIGKILL are given up."""
_log = logging.getLogger(__name__)

root_pids: set[int] = set()
"""PIDs of the first processes of containers. Only their `ProcessExit` may reap them."""


def become_subreaper() -> None:
    """Make orphaned descendants children of this process. Does nothing on other systems than Linux."""
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


@dataclass(frozen=True)
class ProcessOwnership:
    """How the processes of a container are recognized."""

    owner: str
    pipe: str = ""
    """The container's output, as /proc names it."""
    folder: str = ""
    """The pod's folder."""
    session: int = 0
    """The PID of the first process."""

    def owns(self, pid: int) -> bool:
        """Whether a process belongs to the container; False if it can't be inspected."""
        # First, because nothing else can be read of a dying process.
        with suppress(OSError):
            if os.getsid(pid) == self.session:
                return True
        with suppress(OSError):
            if (owners := owners_of(pid)) is not None:
                return self.owner in owners
        if self.pipe:
            for number in (1, 2):
                with suppress(OSError):
                    if str(Path(f"/proc/{pid}/fd/{number}").readlink()) == self.pipe:
                        return True
        with suppress(OSError):
            return bool(self.folder) and Path(f"/proc/{pid}/cwd").readlink().is_relative_to(self.folder)
        return False


async def end_detached(ownership: ProcessOwnership) -> None:
    """Kill the processes of a container outside its process group until none is left.

    One pass is not enough: the children of a killed process become children of this one.
    """
    if not _LINUX:
        return
    deadline = asyncio.get_running_loop().time() + _KILL_TIMEOUT
    # A killed process takes a while to die, and may still hand over children.
    dying: set[int] = set()
    while targets := _detached(ownership, dying):
        dying.update(targets)
        for pid in targets:
            _kill(pid)
        if asyncio.get_running_loop().time() > deadline:
            _log.error("container %s: processes %s do not end after SIGKILL", ownership.owner, sorted(targets))
            return
        await asyncio.sleep(0.002)


def kill_detached(ownership: ProcessOwnership) -> None:
    """Kill them in one pass only: for a container that is about to be waited for."""
    for pid in _detached(ownership, set()) if _LINUX else ():
        _kill(pid)


def _detached(ownership: ProcessOwnership, known: Collection[int]) -> list[int]:
    """PIDs, parents first: a shell that survived its child would report the child's death in the container's log."""
    found: list[int] = []
    for pid in reap():
        if pid in known or ownership.owns(pid):
            found += [pid, *_descendants(pid)]
    return found


def reap() -> list[int]:
    """Reap adopted processes that have ended; returns the PIDs of those still running."""
    alive = []
    for pid in children_of(None) if _LINUX else ():
        if pid in root_pids:
            continue
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                alive.append(pid)
    return alive


def children_of(pid: int | None) -> list[int]:
    """The children of a process, or of this one. Linux only."""
    # On the path of every container's end: plain calls, because Path.glob took ten times as long.
    folder, found = f"/proc/{pid or 'self'}/task", []
    with suppress(OSError):
        for task in os.listdir(folder):  # noqa: PTH208 - see above
            with suppress(OSError), open(f"{folder}/{task}/children", "rb") as file:  # noqa: PTH123
                found += [int(child) for child in file.read().split()]
    return found


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    for child in children_of(pid):
        found += [child, *_descendants(child)]
    return found


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def owners_of(pid: int) -> Sequence[str] | None:
    """The owners named in the environment of a process; None if the variable is not set.

    Raises:
        OSError: the process has ended, or belongs to another user.
    """
    needle = OWNER_ENV.encode() + b"="
    for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if entry.startswith(needle):
            return entry[len(needle) :].decode("utf-8", "replace").split()
    return None


def kill_orphans(uids: Collection[str]) -> int:
    """Kill all processes on the machine that belong to these pods: left behind by a cluster that was killed.

    A process without an owner is killed too if it is in the session of one with an owner, or descends from it.
    Without /proc (macOS) none are found.

    Args:
        uids: of pods.

    Returns:
        The number of processes.
    """
    if not uids:
        return 0
    owned, relations = set(), {}
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        with suppress(OSError, ValueError, IndexError):
            # The second field is a name in brackets that may hold anything.
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            relations[pid] = (int(fields[1]), int(fields[3]))
            if any(owner.partition("/")[0] in uids for owner in owners_of(pid) or ()):
                owned.add(pid)
    targets = set(owned)
    # Only sessions that a container itself created: the cluster's own may contain the user's shell.
    sessions = {relations[pid][1] for pid in owned if relations[pid][1] in owned}
    grown = True
    while grown:
        more = {p for p, (parent, session) in relations.items() if parent in targets or session in sessions} - targets
        grown = bool(more)
        targets |= more
    targets.discard(os.getpid())
    for pid in targets:
        _kill(pid)
    return len(targets)
