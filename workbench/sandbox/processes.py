"""Processes identified by pid and start time, because pids are reused."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path


def start_time(pid: int) -> str | None:
    """The start time as the system reports it; None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
        return _started_by_ps(pid)
    # The name is in parentheses and may contain anything; the fields after it are numbers.
    fields = stat[stat.rindex(")") + 2 :].split()
    state, start_time = fields[0], fields[19]
    return None if state == "Z" else start_time


def _started_by_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=10, check=False
    )
    state, _, start = answer.stdout.strip().partition(" ")
    return start.strip() or None if not state.startswith("Z") else None


def is_alive(pid: int, since: str) -> bool:
    return start_time(pid) == since


async def terminate(pid: int, since: str, *, grace: float) -> bool:
    """Send SIGTERM, then SIGKILL after `grace` seconds. True if the process has ended."""
    # The supervisor uses this module without it.
    import asyncio

    for sign, limit in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        if not is_alive(pid, since):
            return True
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            return True
        deadline = time.monotonic() + limit
        while is_alive(pid, since) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
    return not is_alive(pid, since)
