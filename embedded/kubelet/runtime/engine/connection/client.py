"""Requests to an engine's HTTP API (Docker Engine API 1.41 and later; Podman's compatible one)."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import aiohttp

from embedded.kubelet.runtime.engine.connection.address import EngineAddress
from embedded.kubelet.runtime.engine.connection.info import EngineInfo, describe
from embedded.kubelet.runtime.engine.connection.streams import RawStream, open_stream
from embedded.kubelet.runtime.engine.connection.tls import client_context, explain
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError, error_message

Json = dict[str, Any]

_MAX_LINE = 1 << 20


class EngineClient:
    """Talks to one engine; used by one event loop.

    Args:
        timeout: seconds for the answer to a request that does not wait for anything.
    """

    def __init__(self, address: EngineAddress, timeout: float = 60.0) -> None:
        self.address = address
        self.info = EngineInfo("docker", "", "")
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> EngineInfo:
        """Connect, and find out what answers.

        Raises:
            EngineError, EngineUnreachableError: it is no engine, or refuses.
        """
        if self._session is None:
            connector: aiohttp.BaseConnector
            if self.address.path:
                connector = aiohttp.UnixConnector(self.address.path, limit=0)
                base = "http://engine"
            else:
                certificates = self.address.certificates
                connector = aiohttp.TCPConnector(limit=0, ssl=client_context(certificates) if certificates else True)
                host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
                base = f"{'https' if certificates else 'http'}://{host}:{self.address.port}"
            self._session = aiohttp.ClientSession(base, connector=connector)
        found = await self.get("/version")
        if not isinstance(found, dict) or "ApiVersion" not in found:
            raise EngineError(200, f"{self.address} is not a container engine: it answered {str(found)[:200]}")
        self.info = describe(found)
        return self.info

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def path(self, path: str) -> str:
        return f"/v{self.info.api}{path}" if self.info.api else path

    async def get(self, path: str, **query: str) -> Any:
        """The JSON at a path. Raises: see `request`."""
        return await self.request("GET", path, query)

    async def post(self, path: str, body: Json | None = None, *, timeout: float | None = None, **query: str) -> Any:
        """Raises: see `request`. `timeout`: seconds; 0 for no limit."""
        return await self.request("POST", path, query, body, timeout)

    async def delete(self, path: str, **query: str) -> None:
        """Delete; nothing if it does not exist. Raises: see `request`."""
        try:
            await self.request("DELETE", path, query)
        except EngineError as error:
            if error.status != 404:
                raise

    async def request(
        self, method: str, path: str, query: Mapping[str, str], body: Any = None, timeout: float | None = None
    ) -> Any:
        """Send a request.

        Returns:
            The JSON of the answer; None if it has none.

        Raises:
            EngineError: the engine refuses it.
            EngineUnreachableError: it does not answer.
        """
        limit = aiohttp.ClientTimeout(total=(self._timeout if timeout is None else timeout) or None)
        content = {"data": io.BytesIO(body)} if isinstance(body, bytes) else {"json": body}
        try:
            async with self._open_session().request(
                method, self.path(path), params=query, timeout=limit, **content
            ) as response:
                text = await response.text(errors="replace")
                if response.status >= 400:
                    raise EngineError(response.status, error_message(text))
        except aiohttp.ClientConnectorCertificateError as error:
            raise EngineUnreachableError(
                f"can't connect to {self.address}: {explain(error.certificate_error)}"
            ) from error
        except aiohttp.ClientConnectorError as error:
            why = explain(error.os_error) if self.address.certificates else error.os_error.strerror or error.os_error
            raise EngineUnreachableError(f"can't connect to {self.address}: {why}") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise EngineUnreachableError(f"{self.address} does not answer {path}: {error or 'timed out'}") from error
        with suppress(ValueError):
            return json.loads(text)
        return text or None

    async def read(self, path: str, query: Mapping[str, str], limit: int) -> bytes:
        """The first bytes at a path, at most `limit`. Raises: see `request`."""
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        try:
            async with self._open_session().get(self.path(path), params=query, timeout=timeout) as response:
                if response.status >= 400:
                    raise EngineError(response.status, error_message(await response.text(errors="replace")))
                found = b""
                while len(found) < limit and (chunk := await response.content.read(limit - len(found))):
                    found += chunk
                if not response.content.at_eof():
                    # The rest may be large.
                    response.close()
                return found
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise EngineUnreachableError(f"{self.address} does not answer {path}: {error or 'timed out'}") from error

    async def lines(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Json, None]:
        """POST; yields the JSON lines of the answer as they come. Raises: see `request`."""
        limit = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout)
        try:
            async with self._open_session().post(
                self.path(path), params=query, headers=headers, timeout=limit
            ) as response:
                if response.status >= 400:
                    raise EngineError(response.status, error_message(await response.text(errors="replace")))
                left = b""
                async for chunk in response.content.iter_any():
                    *lines, left = (left + chunk).split(b"\n")
                    if len(left) > _MAX_LINE:
                        raise EngineError(200, f"the engine answered {path} with an endless line")
                    for line in (*lines,):
                        if line.strip():
                            yield json.loads(line)
                if left.strip():
                    yield json.loads(left)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise EngineUnreachableError(f"{self.address} does not answer {path}: {error or 'timed out'}") from error
        except ValueError as error:
            raise EngineError(200, f"the engine answered {path} with something else than JSON") from error

    async def stream(self, path: str, body: Json | None = None) -> RawStream:
        """POST to a path that answers with a stream in both directions. Raises: see `request`."""
        async with asyncio.timeout(self._timeout):
            return await open_stream(self.address, self.path(path), body)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise EngineUnreachableError(f"the connection to {self.address} is closed")
        return self._session
