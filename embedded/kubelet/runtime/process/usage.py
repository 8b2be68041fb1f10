"""What the processes of a container use: of its cgroup, or of the tree of its first process, from /proc.

Of a tree, the CPU time of children that have ended is that of the parent that waited for them, and memory is the sum
of what each process has resident: pages that several share count for each. On macOS nothing is known.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from embedded.kubelet.runtime.interface import Usage

_MAX_PROCESSES = 4096
_UTIME, _RSS = 11, 21
"""Positions in /proc/PID/stat after the name; utime, stime, cutime and cstime follow each other."""


def tree_usage(pid: int, proc: Path = Path("/proc")) -> Usage | None:
    """The CPU time and memory of a process and its descendants; None if it has ended."""
    ticks, pages, found = 0, 0, False
    for each in _tree(pid, proc):
        fields = _stat(each, proc)
        if fields is not None:
            found = True
            ticks += sum(int(value) for value in fields[_UTIME : _UTIME + 4])
            pages += int(fields[_RSS])
    if not found:
        return None
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))


def _tree(pid: int, proc: Path) -> Iterator[int]:
    left, seen = [pid], 0
    while left and seen < _MAX_PROCESSES:
        current = left.pop()
        seen += 1
        yield current
        try:
            threads = list((proc / str(current) / "task").iterdir())
        except OSError:
            continue
        for thread in threads:
            try:
                children = (thread / "children").read_text()
            except OSError:
                continue
            left += [int(child) for child in children.split()]


def _stat(pid: int, proc: Path) -> list[str] | None:
    """The fields of a process after its name, which may contain anything; None if it has ended."""
    try:
        text = (proc / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields if len(fields) > _RSS else None
