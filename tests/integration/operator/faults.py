"""An API server that is in trouble: passes requests on, and answers some itself, or cuts them off, as a test says."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

_HOP = {"connection", "content-length", "host", "transfer-encoding", "keep-alive"}
_WRITES_WITHOUT = 20
"""After so many writes each of the answers has been given."""
_REASONS = {409: "Conflict", 500: "InternalError", 503: "ServiceUnavailable"}


@dataclass
class Faults:
    """What goes wrong, as chances in [0, 1]; may be changed while requests go through."""

    answers: dict[int, float] = field(default_factory=dict)
    """Status -> chance that a write is answered with it, and not passed on."""
    lost: float = 0.0
    """The chance that a write is carried out and its answer never arrives."""
    watch_bytes: int | None = None
    """A watch is cut off after about so many bytes, in the midst of a line."""
    partitioned: bool = False
    """Nothing passes any more; connections stay open."""
    down: bool = False
    """Nobody is there: connections, also those that are open, are cut off."""
    on_write: Callable[[str, str, bool], bool] = lambda method, path, is_done: False
    """Called for each write before it is passed on, and after it was carried out: whether to cut it off then."""
    seen: dict[str, int] = field(default_factory=dict)
    """How often each has happened."""

    def happened(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1


class _Proxy:
    def __init__(self, target: str, trouble: Faults, seed: int) -> None:
        self._target, self._trouble, self._chance = target, trouble, random.Random(seed)
        self._writes = 0
        self._session: aiohttp.ClientSession | None = None

    async def session(self, app: web.Application) -> object:
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as self._session:
            yield

    async def handle(self, request: web.Request) -> web.StreamResponse:
        trouble = self._trouble
        await self._wait_while_partitioned()
        if trouble.down:
            trouble.happened("down")
            _cut(request)
        if request.method not in ("GET", "HEAD"):
            if trouble.on_write(request.method, request.path, False):
                _cut(request)
            self._writes += 1
            for status, chance in trouble.answers.items():
                is_late = self._writes > _WRITES_WITHOUT and str(status) not in trouble.seen
                if is_late or self._chance.random() < chance:
                    trouble.happened(str(status))
                    return _refusal(status)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        body = await request.read()
        assert self._session is not None
        url = self._target + request.raw_path
        async with self._session.request(request.method, url, data=body or None, headers=headers) as answer:
            if request.method not in ("GET", "HEAD") and trouble.on_write(request.method, request.path, True):
                await answer.read()
                _cut(request)
            if request.method != "GET" and self._chance.random() < trouble.lost:
                trouble.happened("lost")
                await answer.read()
                _cut(request)
            return await self._pass_on(request, answer)

    async def _pass_on(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
        response = web.StreamResponse(status=answer.status, headers=kept)
        await response.prepare(request)
        left = self._trouble.watch_bytes if request.query.get("watch") in ("1", "true") else None
        left = None if left is None else int(left * self._chance.uniform(0.5, 1.5))
        while piece := await self._next(answer, request):
            await self._wait_while_partitioned()
            if left is not None and len(piece) >= left:
                self._trouble.happened("watch cut")
                await response.write(piece[:left])
                _cut(request)
            left = None if left is None else left - len(piece)
            await response.write(piece)
        await response.write_eof()
        return response

    async def _next(self, answer: aiohttp.ClientResponse, request: web.Request) -> bytes:
        """What comes next of an answer, b"" at its end."""
        while True:
            try:
                async with asyncio.timeout(0.05):
                    return await answer.content.readany()
            except TimeoutError:
                if self._trouble.down:
                    self._trouble.happened("watch down")
                    _cut(request)

    async def _wait_while_partitioned(self) -> None:
        while self._trouble.partitioned:
            self._trouble.happened("held")
            await asyncio.sleep(0.05)


def _cut(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.abort()
    raise ConnectionResetError("cut off")


def _refusal(status: int) -> web.Response:
    document = {"kind": "Status", "status": "Failure", "code": status, "reason": _REASONS[status], "message": "trouble"}
    return web.json_response(document, status=status)


async def _cancel_others() -> None:
    """End what still waits for connections that were cut off."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def fault_proxy(target: str, trouble: Faults, seed: int = 1) -> Iterator[str]:
    """The address of a proxy to `target`, which runs on a thread of its own."""
    loop = asyncio.new_event_loop()
    proxy = _Proxy(target, trouble, seed)
    app = web.Application(client_max_size=64 << 20)
    app.cleanup_ctx.append(proxy.session)  # type: ignore[arg-type]
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    thread = threading.Thread(target=loop.run_forever, name="trouble")
    thread.start()

    async def start() -> str:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        host, port = site._server.sockets[0].getsockname()[:2]  # type: ignore[attr-defined]
        return f"http://{host}:{port}"

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    finally:
        trouble.partitioned = False
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)
        asyncio.run_coroutine_threadsafe(_cancel_others(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
