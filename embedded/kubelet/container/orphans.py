"""Finds and ends the processes that a container leaves behind.

Every process of a container carries a mark in its environment: the pod's uid
and the container's name. On Linux the cluster is a child subreaper, so whatever
detaches itself from its parents becomes a child of the cluster and is found
among its children, while the cluster lives; after a crash of the cluster, all
processes of the machine are searched for the mark. A process that has cleared
its environment is still known by its output (the container's pipe) or its
working directory (in the pod's folder), or after a crash by the session it is in.

macOS has neither subreapers nor /proc: there only a container's process group
is ended, and a process that left the group, or outlived a crash of the cluster,
stays.
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
"""The variable: `uid/container`, after the marks of the containers around this cluster, if it runs in one."""

_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform == "linux"
_KILL_TIMEOUT = 10.0
_log = logging.getLogger(__name__)

root_pids: set[int] = set()
"""The first processes of containers. They are waited for where they were started, and nowhere else."""


def become_subreaper() -> None:
    """From now on, orphaned descendants become children of this process. Linux only; elsewhere it does nothing."""
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


@dataclass(frozen=True)
class ProcessOwnership:
    """By what the processes of a container are known.

    `pipe` is its output, as /proc names it; `folder` the pod's; `session` the number of its first process.
    """

    owner: str
    pipe: str = ""
    folder: str = ""
    session: int = 0

    def owns(self, pid: int) -> bool:
        """Whether a process is one of the container's. A process that can't be looked at is not."""
        # First, because it is all that can still be seen of a process that is dying.
        with suppress(OSError):
            if os.getsid(pid) == self.session:
                return True
        with suppress(OSError):
            if (marks := owners_of(pid)) is not None:
                return self.owner in marks
        if self.pipe:
            for number in (1, 2):
                with suppress(OSError):
                    if str(Path(f"/proc/{pid}/fd/{number}").readlink()) == self.pipe:
                        return True
        with suppress(OSError):
            return bool(self.folder) and Path(f"/proc/{pid}/cwd").readlink().is_relative_to(self.folder)
        return False


async def end_detached(ownership: ProcessOwnership) -> None:
    """Kill what is left of a container outside its process group, until nothing is.

    One look is not enough: what dies hands its own children over.
    """
    if not _LINUX:
        return
    by = asyncio.get_running_loop().time() + _KILL_TIMEOUT
    # One that was killed is dying for a while, and may have children to hand over yet.
    dying: set[int] = set()
    while doomed := _detached(ownership, dying):
        dying.update(doomed)
        for pid in doomed:
            _kill(pid)
        if asyncio.get_running_loop().time() > by:
            _log.error("container %s: processes %s can't be ended", ownership.owner, sorted(doomed))
            return
        await asyncio.sleep(0.002)


def kill_detached(ownership: ProcessOwnership) -> None:
    """The same, one look only: for a container that is about to be waited for."""
    for pid in _detached(ownership, set()) if _LINUX else ():
        _kill(pid)


def _detached(ownership: ProcessOwnership, known: Collection[int]) -> list[int]:
    """Parents before their children: a shell that outlived a child would report its death in the container's log."""
    found: list[int] = []
    for pid in reap():
        if pid in known or ownership.owns(pid):
            found += [pid, *_descendants(pid)]
    return found


def reap() -> list[int]:
    """Bury adopted processes that have ended; returns those that live."""
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
    # On the path of every container's end: plain calls, as Path.glob took ten times longer.
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
    """The marks in the environment of a process; None when it has none.

    Raises:
        OSError: the process is gone, or is somebody else's.
    """
    needle = OWNER_ENV.encode() + b"="
    for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if entry.startswith(needle):
            return entry[len(needle) :].decode("utf-8", "replace").split()
    return None


def kill_orphans(uids: Collection[str]) -> int:
    """End all processes on the machine that belong to these pods: left by a cluster that was killed.

    Returns how many there were. A process without a mark is ended when it lives in the
    session of one that has it, or descends from it. Without /proc (macOS) none are found.
    """
    if not uids:
        return 0
    marked, relations = set(), {}
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        with suppress(OSError, ValueError, IndexError):
            # The second field is a name in brackets that may hold anything.
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            relations[pid] = (int(fields[1]), int(fields[3]))
            if any(mark.partition("/")[0] in uids for mark in owners_of(pid) or ()):
                marked.add(pid)
    doomed = set(marked)
    # Only sessions that a container itself began: the cluster's own may hold a person's shell.
    sessions = {relations[pid][1] for pid in marked if relations[pid][1] in marked}
    grown = True
    while grown:
        more = {p for p, (parent, session) in relations.items() if parent in doomed or session in sessions} - doomed
        grown = bool(more)
        doomed |= more
    doomed.discard(os.getpid())
    for pid in doomed:
        _kill(pid)
    return len(doomed)
