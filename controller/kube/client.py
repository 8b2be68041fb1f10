"""The client: one method a verb, plain dictionaries in and out."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp

from controller.kube.errors import KubeError, UnreachableError, error_from_response
from controller.kube.resources import PODS, SERVICE_ACCOUNTS, Resource

Json = dict[str, Any]
PatchType = Literal["merge", "json", "strategic", "apply"]

_TIMEOUT = 30.0
_CONNECT_TIMEOUT = 10.0
_PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
_APPLY_QUERY = {"fieldManager": "c8s", "force": "true"}
PAGE_SIZE = 500
_FIRST_PAGE = 10
PAGE_BYTES = 2 * 1024 * 1024
"""What a page may have: decoding it takes about 20 ms. A single object may have as much."""
_CLOSE_TIMEOUT = 5.0
_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_TOKEN_REQUEST_META = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Json


@dataclass(frozen=True)
class ConnectionConfig:
    """How to reach and authenticate to the API. `token` returns the current bearer token, None for none."""

    url: str
    token: Callable[[], str | None]
    tls: ssl.SSLContext | None = None
    namespace: str = "default"
    tls_server_name: str | None = None
    """The name in the server's certificate, if it is another than in the URL."""
    proxy_url: str | None = None


class KubeClient:
    """A Kubernetes API. Use it as an async context manager."""

    def __init__(self, config: ConnectionConfig) -> None:
        self._config = config
        self._url = config.url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, ssl=self._config.tls or True, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT, sock_connect=_CONNECT_TIMEOUT),
            auto_decompress=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # -- verbs

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, timeout: float | None = None
    ) -> Json:
        """One object. Raises NotFoundError and other KubeErrors."""
        return await self._call("GET", resource.path(namespace, name), timeout=timeout)

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = PAGE_SIZE,
        transform: Callable[[Json], Json] | None = None,
    ) -> Json:
        """The whole list, read page by page: `{"items": […], "metadata": {"resourceVersion": …}}`.

        A page is decoded in one piece, in which nothing else can run: the sizes of objects decide how many are read.

        Args:
            page_size: how many objects are read at once at most.
            transform: applied to each object before the next page is read.
        """
        query = _selector_query(label_selector, field_selector)
        path = resource.path(namespace)
        items: list[Json] = []
        limit = min(page_size, _FIRST_PAGE)
        while True:
            data = await self._call_bytes("GET", path, query={**query, "limit": str(limit)})
            page = _decode_object(data, f"GET {path}")
            found = page.pop("items", None) or []
            for obj in found:
                items.append(transform(obj) if transform is not None else obj)
                if transform is not None:
                    await asyncio.sleep(0)
            rest = page.get("metadata", {}).get("continue")
            if not rest:
                return {**page, "items": items}
            query["continue"] = rest
            limit = next_page_size(limit, page_size, len(data))

    async def create(
        self, resource: Resource, obj: Json, namespace: str | None = None, *, timeout: float | None = None
    ) -> Json:
        """A new object, or the answer to a review. Raises AlreadyExistsError and other KubeErrors."""
        return await self._call("POST", resource.path(namespace), body=_with_type_meta(resource, obj), timeout=timeout)

    async def update(
        self, resource: Resource, obj: Json, *, subresource: str | None = None, timeout: float | None = None
    ) -> Json:
        """Replace an object, identified by its metadata. Raises ConflictError when its resourceVersion is old."""
        metadata = obj["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        return await self._call("PUT", path, body=_with_type_meta(resource, obj), timeout=timeout)

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        patch_type: PatchType = "merge",
    ) -> Json:
        path = resource.path(namespace, name, subresource)
        query = _APPLY_QUERY if patch_type == "apply" else None
        return await self._call("PATCH", path, query=query, body=patch, content_type=_PATCH_TYPES[patch_type])

    async def delete(
        self,
        resource: Resource,
        name: str,
        *,
        namespace: str | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Json:
        """Remove an object; with `uid` only if it is still that one, with `version` only if it is unchanged."""
        options: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        conditions = {"uid": uid, "resourceVersion": resource_version}
        if given := {name: value for name, value in conditions.items() if value is not None}:
            options["preconditions"] = given
        return await self._call("DELETE", resource.path(namespace, name), body=options)

    async def request_token(self, account: str, namespace: str, *, expiration_seconds: int) -> Json:
        """A token of a service account, as a TokenRequest's status: `token`, `expirationTimestamp`."""
        path = SERVICE_ACCOUNTS.path(namespace, account, "token")
        answer = await self._call(
            "POST", path, body={"spec": {"expirationSeconds": expiration_seconds}} | _TOKEN_REQUEST_META
        )
        return dict(answer["status"])

    async def version(self) -> Json:
        """The server's `/version`."""
        return await self._call("GET", "/version")

    # -- streams

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int = 300,
        read_timeout: float | None = None,
        on_open: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[WatchEvent, None]:
        """The changes after a resourceVersion, until the server ends the stream.

        Args:
            timeout_seconds: after how long the server should end the stream.
            read_timeout: seconds without a byte after which the connection is considered dead.
            on_open: called when the server has accepted the watch, before the first event.

        Raises:
            GoneError: the version is too old, answered at once or as an ERROR event.
            UnreachableError, ApiError: the request failed.
        """
        query = _selector_query(label_selector, field_selector) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        }
        path = resource.path(namespace)
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=read_timeout or timeout_seconds + 15
        )
        async with self._request("GET", path, query=query, timeout=timeout) as response:
            on_open()
            async for line in _iter_lines(_iter_chunks(response, f"GET {path}")):
                event = _decode_object(line, f"GET {path}")
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise error_from_response(int(status.get("code", 500)), status, f"watch {resource.plural}")
                yield WatchEvent(event["type"], event["object"])

    async def stream_log(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        follow: bool = True,
        since_time: str | None = None,
        timestamps: bool = True,
        read_timeout: float | None = None,
    ) -> AsyncGenerator[bytes, None]:
        """A container's log in chunks as they arrive.

        Raises:
            NotFoundError: there is no such pod.
            ApiError: with status 400 while the container has not started.
        """
        query = {"container": container, "follow": _bool_query(follow), "timestamps": _bool_query(timestamps)}
        if since_time is not None:
            query["sinceTime"] = since_time
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=read_timeout)
        path = PODS.path(namespace, pod, "log")
        async with self._request("GET", path, query=query, timeout=timeout) as response:
            async for chunk in _iter_chunks(response, f"GET {path}"):
                yield chunk

    @asynccontextmanager
    async def websocket(
        self, path: str, query: Sequence[tuple[str, str]], *, protocols: Sequence[str], heartbeat: float
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket to a subresource. Raises ApiError for an error response, UnreachableError without a response."""
        if self._session is None:
            raise KubeError("the client is used outside its `async with`")
        what = f"GET {path}"
        try:
            opening = self._session.ws_connect(
                self._url + path,
                params=query,
                # A kubelet answers 406 to a handshake that accepts only JSON.
                headers=self._headers() | {"Accept": "*/*"},
                protocols=protocols,
                heartbeat=heartbeat,
                max_msg_size=_MAX_MESSAGE_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT),
                server_hostname=self._config.tls_server_name,
                proxy=self._config.proxy_url,
            )
            socket = await asyncio.wait_for(opening, _TIMEOUT)
        except aiohttp.WSServerHandshakeError as error:
            # The library keeps the status of a rejection, but not its body.
            raise error_from_response(error.status, {}, what) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"{what}: no response from {self._url}: {_describe(error)}") from error
        async with socket:
            yield socket

    # -- transport

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float | None = None,
    ) -> Json:
        data = await self._call_bytes(method, path, query=query, body=body, content_type=content_type, timeout=timeout)
        return _decode_object(data, f"{method} {path}")

    async def _call_bytes(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float | None = None,
    ) -> bytes:
        limit = aiohttp.ClientTimeout(total=timeout or _TIMEOUT, sock_connect=_CONNECT_TIMEOUT)
        async with self._request(
            method, path, query=query, body=body, content_type=content_type, timeout=limit
        ) as response:
            try:
                return await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise UnreachableError(f"{method} {path}: the response was interrupted: {_describe(error)}") from error

    def _headers(self) -> dict[str, str]:
        token = self._config.token()
        return {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token is not None else {})

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        timeout: aiohttp.ClientTimeout,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise KubeError("the client is used outside its `async with`")
        headers = self._headers()
        data = None
        if body is not None:
            data = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = content_type
        what = f"{method} {path}"
        try:
            response = await self._session.request(
                method,
                self._url + path,
                params=query,
                data=data,
                headers=headers,
                timeout=timeout,
                server_hostname=self._config.tls_server_name,
                proxy=self._config.proxy_url,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"{what}: no response from {self._url}: {_describe(error)}") from error
        async with response:
            if response.status >= 400:
                raise error_from_response(response.status, await _read_error_body(response), what)
            yield response


def next_page_size(size: int, max_size: int, received: int) -> int:
    """How many objects to read next, if a page of `size` objects had so many bytes."""
    per_object = max(received // size, 1)
    return max(1, min(max_size, 2 * size, PAGE_BYTES // per_object))


def _decode_object(data: bytes, operation: str) -> Json:
    """Decodes an object. A proxy in front of the API may answer with something else than JSON."""
    try:
        answer = json.loads(data)
    except ValueError as error:
        raise UnreachableError(f"{operation}: the response is not JSON: {data[:100]!r}") from error
    if not isinstance(answer, dict):
        raise UnreachableError(f"{operation}: the response is not a JSON object: {data[:100]!r}")
    return answer


async def _read_error_body(response: aiohttp.ClientResponse) -> object:
    try:
        text = await response.text(errors="replace")
    except (aiohttp.ClientError, TimeoutError):
        return ""
    try:
        return json.loads(text)
    except ValueError:
        return text


async def _iter_chunks(response: aiohttp.ClientResponse, operation: str) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UnreachableError(f"{operation}: the stream was interrupted: {_describe(error)}") from error


async def _iter_lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Whole lines of any length: an object may be larger than a stream reader's limit."""
    parts: list[bytes] = []
    async for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        if whole:
            yield b"".join([*parts, whole[0]])
            parts = []
            for line in whole[1:]:
                if line:
                    yield line
        if rest:
            parts.append(rest)


def _with_type_meta(resource: Resource, obj: Json) -> Json:
    return {"apiVersion": resource.api_version, "kind": resource.kind, **obj}


def _selector_query(labels: str, fields: str) -> dict[str, str]:
    return {k: v for k, v in (("labelSelector", labels), ("fieldSelector", fields)) if v}


def _bool_query(flag: bool) -> str:
    return "true" if flag else "false"


def _describe(error: BaseException) -> str:
    return str(error) or type(error).__name__


async def sleep(seconds: float) -> None:
    """The default of everything here that waits; tests hand in their own."""
    await asyncio.sleep(seconds)
