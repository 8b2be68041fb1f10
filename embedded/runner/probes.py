"""Startup probes: whether a sidecar has started."""

from __future__ import annotations

import asyncio
from typing import Any

from embedded.runner.container import Container
from embedded.runner.process import Process, StartError

Json = dict[str, Any]


async def wait_started(container: Container) -> None:
    """Return when the container's startup probe succeeds, or at once when it has none.

    A probe that fails too often ends the container, as a kubelet does.
    """
    probe: Json | None = container.spec.get("startupProbe")
    if probe is None:
        return
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    for _ in range(probe.get("failureThreshold", 3)):
        if container.process is None or await _succeeds(probe, container):
            return
        await asyncio.sleep(probe.get("periodSeconds", 10))
    container.kill()


async def _succeeds(probe: Json, container: Container) -> bool:
    timeout = float(probe.get("timeoutSeconds", 1))
    if "tcpSocket" in probe:
        return await _connects(int(probe["tcpSocket"]["port"]), timeout)
    if "exec" in probe:
        return await _runs(probe["exec"].get("command") or [], container, timeout)
    # httpGet and grpc are not covered; what is not asked for counts as started.
    return True


async def _connects(port: int, timeout: float) -> bool:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _runs(command: list[str], container: Container, timeout: float) -> bool:
    try:
        process = Process(
            command, environment=container.environment, cwd="/", mark=f"probe/{container.name}", sink=lambda _: None
        )
    except StartError:
        return False
    try:
        async with asyncio.timeout(timeout):
            return await process.wait() == 0
    except TimeoutError:
        return False
