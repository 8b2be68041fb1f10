"""Startup probes: whether a container has started. exec, tcpSocket and httpGet.

Liveness and readiness probes are not covered: nothing here sends traffic to pods.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from embedded.runner.container import Container, Surroundings
from embedded.runner.environment import ConfigError
from embedded.runner.process import Process, StartError

Json = dict[str, Any]

_KINDS = ("exec", "tcpSocket", "httpGet")


@dataclass(frozen=True)
class Schedule:
    """Seconds: before the first try, between two, and for one; and how many may fail."""

    delay: float
    period: float
    timeout: float
    failures: int

    @classmethod
    def of(cls, probe: Json) -> Schedule:
        return cls(
            float(probe.get("initialDelaySeconds") or 0),
            float(probe.get("periodSeconds") or 10),
            float(probe.get("timeoutSeconds") or 1),
            int(probe.get("failureThreshold") or 3),
        )


def unsupported(container: Json) -> str:
    """What of a container's startup probe can't be had here; empty when all can."""
    probe = container.get("startupProbe")
    if not probe or any(kind in probe for kind in _KINDS):
        return ""
    kinds = ", ".join(key for key in probe if isinstance(probe[key], dict)) or "none"
    return f"container {container['name']}: a startupProbe of kind {kinds} can't be had here; {', '.join(_KINDS)} can"


async def has_started(container: Container, around: Surroundings) -> bool:
    """Try until the probe succeeds (True) or has failed too often (False)."""
    probe: Json = container.spec["startupProbe"]
    schedule = Schedule.of(probe)
    await asyncio.sleep(schedule.delay)
    for attempt in range(schedule.failures):
        if attempt:
            await asyncio.sleep(schedule.period)
        if await _succeeds(probe, container, around, schedule.timeout):
            return True
    return False


async def _succeeds(probe: Json, container: Container, around: Surroundings, timeout: float) -> bool:
    with suppress(OSError, TimeoutError, ConfigError, StartError, ValueError):
        async with asyncio.timeout(timeout):
            if "exec" in probe:
                return await _runs(probe["exec"].get("command") or [], container, around)
            if "httpGet" in probe:
                return await _answers(probe["httpGet"], container)
            _, writer = await asyncio.open_connection("127.0.0.1", _port(probe["tcpSocket"]["port"], container))
            writer.close()
            return True
    return False


async def _runs(words: list[Any], container: Container, around: Surroundings) -> bool:
    command = container.command(words, around)
    # Known by a mark of its own: when a probe ends, what the container itself has detached lives on.
    process = Process(replace(command, mark=f"{command.mark}.probe", folder=""), sink=lambda _: None)
    return await process.wait() == 0


async def _answers(wanted: Json, container: Container) -> bool:
    """Whether a GET is answered with 200 to 399."""
    reader, writer = await asyncio.open_connection("127.0.0.1", _port(wanted["port"], container))
    try:
        writer.write(f"GET {wanted.get('path') or '/'} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        await writer.drain()
        line = await reader.readline()
    finally:
        writer.close()
    return 200 <= int(line.split()[1]) < 400 if len(line.split()) > 1 else False


def _port(port: Any, container: Container) -> int:
    """A port by number, or by the name it has in the container's list."""
    for known in container.spec.get("ports") or []:
        if known.get("name") == port:
            return int(known["containerPort"])
    return int(port)
