"""One start of a container in an engine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from embedded.api.interfaces import ExecOptions
from embedded.kubelet.runtime.dial import Connection, dial
from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.streams import FrameDecoder, RawStream
from embedded.kubelet.runtime.engine.containers.exec_session import EngineExecSession
from embedded.kubelet.runtime.engine.containers.tunnel import tunnel
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError
from embedded.kubelet.runtime.engine.images.store import EngineImage
from embedded.kubelet.runtime.interface import ContainerExit, StartError, Usage
from embedded.kubelet.runtime.termination_message import TerminationMessage

Json = dict[str, Any]
_log = logging.getLogger(__name__)

_KILLED = 137
_START_TIMEOUT = 300.0
"""Seconds; an engine on a busy machine starts many containers one after the other."""
_RETRY_INTERVAL = 1.0
_RETRIES = 60
"""Attempts to reach an engine that is being restarted."""


class EngineContainer:
    """See `embedded.kubelet.runtime.interface.RuntimeContainer`.

    Args:
        address: where its ports are reached; None to ask the engine once it runs.
        on_end: called when it has ended, before that is reported.
        network: the identifier of the container through which its ports are reached; None where this machine is
            connected with their network.
    """

    def __init__(
        self,
        client: EngineClient,
        identifier: str,
        image: EngineImage,
        message: TerminationMessage,
        address: str | None,
        on_end: Callable[[], Awaitable[None]],
        network: str | None = None,
    ) -> None:
        self.is_removed = False
        self.image_id = image.reported_id
        self.id = f"{client.info.name}://{identifier}"
        self._client = client
        self._identifier = identifier
        self._message = message
        self._stop_signal = image.stop_signal
        self._address = address
        self._network = network
        self._on_end = on_end
        self._sink: Callable[[bytes], None] = lambda _: None
        self._output: RawStream | None = None
        self._signals: asyncio.Queue[str] = asyncio.Queue()
        self._has_ended = False

    @property
    def address(self) -> str:
        return self._address or ""

    async def start(self, sink: Callable[[bytes], None]) -> None:
        """See `RuntimeContainer`."""
        path = f"/containers/{self._identifier}"
        try:
            # Before the start, so that nothing that it writes is missed.
            self._output = await self._client.stream(f"{path}/attach?stream=1&stdout=1&stderr=1")
            await self._client.post(f"{path}/start", timeout=_START_TIMEOUT)
            if self._address is None:
                self._address = network_address(await self._client.get(f"{path}/json"))
        except (EngineError, EngineUnreachableError, TimeoutError) as error:
            self._close_output()
            raise StartError(str(error) or "the engine does not answer") from error
        self._sink = sink

    async def wait(self) -> ContainerExit:
        """See `RuntimeContainer`."""
        try:
            async with asyncio.TaskGroup() as group:
                signals = group.create_task(self._deliver_signals())
                await self._forward_output()
                end = await self._wait_for_exit()
                signals.cancel()
            await self._on_end()
            return end
        except asyncio.CancelledError:
            await asyncio.shield(self._send("SIGKILL"))
            raise
        finally:
            self._has_ended = True
            self._close_output()

    async def _forward_output(self) -> None:
        """Hand its output over until there is no more: it has ended, or has closed both streams."""
        decoder = FrameDecoder()
        while self._output is not None and (data := await self._output.read()):
            for _, content in decoder.feed(data):
                self._sink(content)

    async def _wait_for_exit(self) -> ContainerExit:
        for _ in range(_RETRIES):
            try:
                answer = await self._client.post(
                    f"/containers/{self._identifier}/wait", timeout=0, condition="not-running"
                )
                code = int(answer["StatusCode"])
                return ContainerExit(code, code != 0 and await self._ran_out_of_memory())
            except EngineUnreachableError:
                await asyncio.sleep(_RETRY_INTERVAL)
            except EngineError as error:
                _log.error("container %s: its end is unknown: %s", self.id, error)
                return ContainerExit(_KILLED)
        _log.error("container %s: its end is unknown: the engine does not answer", self.id)
        return ContainerExit(_KILLED)

    async def _ran_out_of_memory(self) -> bool:
        with suppress(EngineError, EngineUnreachableError, KeyError):
            found = await self._client.get(f"/containers/{self._identifier}/json")
            return bool(found["State"]["OOMKilled"])
        return False

    async def _deliver_signals(self) -> None:
        while True:
            await self._send(await self._signals.get())

    async def _send(self, signal: str) -> None:
        try:
            await self._client.post(f"/containers/{self._identifier}/kill", signal=signal)
        except (EngineError, EngineUnreachableError) as error:
            # 404 and 409: it has ended.
            if not isinstance(error, EngineError) or error.status not in (404, 409):
                _log.warning("container %s: can't send %s: %s", self.id, signal, error)

    def terminate(self) -> None:
        """See `RuntimeContainer`. The signal is the image's STOPSIGNAL, as on a node."""
        self._signals.put_nowait(self._stop_signal)

    def kill(self) -> None:
        """See `RuntimeContainer`."""
        self._signals.put_nowait("SIGKILL")

    async def exec(self, options: ExecOptions) -> EngineExecSession:
        """See `RuntimeContainer`."""
        if self._has_ended:
            raise StartError("the container does not run")
        try:
            return await EngineExecSession.start(self._client, self._identifier, options)
        except (EngineError, EngineUnreachableError, TimeoutError) as error:
            raise StartError(str(error) or "the engine does not answer") from error

    async def run(self, argv: list[str], keep: int) -> tuple[int, bytes]:
        """See `RuntimeContainer`. The API of engines can't kill such a command: when cancelled, it is left alone."""
        session = await self.exec(ExecOptions(tuple(argv), stdout=True, stderr=True))
        output = bytearray()

        async def collect(_: int, data: bytes) -> None:
            output.extend(data[: max(0, keep - len(output))])

        return await session.run(collect), bytes(output)

    def connect(self, port: int) -> AbstractAsyncContextManager[Connection]:
        """See `RuntimeContainer`."""
        if self._network is None:
            return dial(self.address, port)
        return tunnel(self._client, self._network, self.address, port)

    async def usage(self) -> Usage | None:
        """See `RuntimeContainer`."""
        with suppress(EngineError, EngineUnreachableError, AttributeError, KeyError, TypeError, ValueError):
            found = await self._client.get(
                f"/containers/{self._identifier}/stats", stream="false", **{"one-shot": "true"}
            )
            memory = found["memory_stats"]
            details = memory.get("stats") or {}
            inactive = details.get("inactive_file", details.get("total_inactive_file", 0))
            seconds = int(found["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9
            return Usage(seconds, max(0, int(memory["usage"]) - int(inactive)))
        return None

    def termination_message(self) -> bytes:
        """See `RuntimeContainer`."""
        return self._message.read()

    async def remove(self) -> None:
        """See `RuntimeContainer`."""
        self._close_output()
        await remove_container(self._client, self._identifier)
        self.is_removed = True

    def _close_output(self) -> None:
        if self._output is not None:
            self._output.close()
            self._output = None


async def remove_container(client: EngineClient, identifier: str) -> None:
    """Remove a container with its anonymous volumes, running or not; a failure is logged."""
    try:
        await client.delete(f"/containers/{identifier}", force="1", v="1")
    except (EngineError, EngineUnreachableError) as error:
        # 409: it is being removed already.
        if not isinstance(error, EngineError) or error.status != 409:
            _log.warning("container %s can't be removed: %s", identifier, error)


def network_address(inspected: Json) -> str:
    """The IP address of a running container, that of version 4 if it has one; empty if it has none of its own."""
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    found = [each.get(field) for field in ("IPAddress", "GlobalIPv6Address") for each in networks.values() if each]
    return next((str(address) for address in found if address), "")
