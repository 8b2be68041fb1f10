"""The web server: pages, tickets, the WebSocket of each tab, and downloads. What each request may do is decided here.

GET /enter?ticket=…   uses a ticket up and sets the cookie of the session
GET /                 the page of a workbench
GET /session          whether the cookie is still valid
GET /app/{tab}        the WebSocket of a tab
GET /download/{name}  a file that an app gives away, once
GET /static/{name}    scripts, styles and fonts
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import quote

from aiohttp import WSMsgType, web

from workbench.serve import pages
from workbench.serve.access import SESSION_SECONDS, Access, Browser, TicketError
from workbench.serve.app_session import REFUSED, AppSession
from workbench.serve.app_sessions import AppSessions, LimitError
from workbench.serve.messages import MAX_BYTES, Size, parse_message, parse_size
from workbench.serve.origin import Origins, host_port
from workbench.serve.outbox import Outbox, OutboxClosedError

_TAB = re.compile(r"[0-9a-f]{32}")
_HEARTBEAT = 15.0
_CLOSE_SECONDS = 1.0
_MAX_REASON = 120
"""Bytes of the reason of a closed WebSocket."""
_NONCE = web.RequestKey("nonce", str)
"""What the style elements of the answer carry, if it is a page."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WorkbenchServer:
    """The web application. It does not listen by itself: `application` is run by the caller."""

    def __init__(self, access: Access, apps: AppSessions, origins: Origins) -> None:
        self._access, self._apps, self._origins = access, apps, origins

    def application(self) -> web.Application:
        """The application for aiohttp's server."""
        application = web.Application(middlewares=[self._guard], client_max_size=1024)
        application.add_routes(
            [
                web.get("/", self._index),
                web.get("/enter", self._enter, allow_head=False),
                web.get("/session", self._session),
                web.get("/app/{tab}", self._app, allow_head=False),
                web.get("/download/{name}", self._download, allow_head=False),
                web.get("/static/{name}", self._static),
            ]
        )
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what is not for us, and set the headers of every answer."""
        hosts = request.headers.getall("Host", [])
        request[_NONCE] = secrets.token_urlsafe(16)
        if len(hosts) != 1 or not self._origins.accepts_host(hosts[0]):
            response: web.StreamResponse = _message(
                421, "This name is not one of this server. `c8s serve --allow-host NAME` adds one."
            )
            host = "localhost"
        else:
            host = hosts[0]
            try:
                response = await handler(request)
            except web.HTTPException as error:
                response = _message(error.status, error.text or error.reason)
        if not response.prepared:
            _set_headers(response, host, request[_NONCE])
        return response

    # -- coming in

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        try:
            secret = self._access.redeem(request.query.get("ticket", "")[:200])
        except TicketError as error:
            if self._browser(request) is not None:
                return web.Response(status=303, headers={"Location": "/"})
            return _message(403, f"{error} Ask for a new link: Enter in the terminal of c8s serve prints one.")
        response = web.Response(text=pages.entered_page(), content_type="text/html")
        response.set_cookie(
            _cookie_name(request),
            secret,
            max_age=int(SESSION_SECONDS),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=request.headers.get("X-Forwarded-Proto") == "https",
        )
        return response

    def _browser(self, request: web.Request) -> Browser | None:
        cookie = request.cookies.get(_cookie_name(request))
        return self._access.browser(cookie) if cookie else None

    def _required_browser(self, request: web.Request) -> Browser:
        browser = self._browser(request)
        if browser is None:
            raise web.HTTPUnauthorized(text="You are not signed in, or your session has ended. Open a new link.")
        return browser

    async def _session(self, request: web.Request) -> web.StreamResponse:
        self._required_browser(request)
        return web.Response(status=204)

    # -- pages and files

    async def _index(self, request: web.Request) -> web.StreamResponse:
        if self._browser(request) is None:
            return _message(401, "Open the link that c8s serve prints: it signs this browser in, once.")
        text = pages.index_page(request[_NONCE], request.query.get("font", ""))
        return web.Response(text=text, content_type="text/html")

    async def _static(self, request: web.Request) -> web.StreamResponse:
        found = pages.static_file(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound(text="There is no such file.")
        return web.Response(body=found.content, headers={"Content-Type": found.type})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        browser = self._required_browser(request)
        for app in self._apps.of_browser(browser):
            download = app.downloads.take(request.match_info["name"])
            if download is not None:
                break
        else:
            raise web.HTTPNotFound(text="This file was fetched already, or its workbench was closed.")
        # Never shown by the browser: a page in an artifact would be a page of this server.
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(download.file_name, safe='')}",
        }
        response = web.StreamResponse(headers=headers)
        _set_headers(response, request.headers["Host"], request[_NONCE])
        await response.prepare(request)
        # Cut short, rather than ended as if it were whole, when the app does not send the rest.
        async for chunk in app.downloads.read(download):
            await response.write(chunk)
        await response.write_eof()
        return response

    # -- the app of a tab

    async def _app(self, request: web.Request) -> web.StreamResponse:
        if not self._origins.accepts_origin(request.headers["Host"], request.headers.get("Origin")):
            raise web.HTTPForbidden(text="This request is not from a page of this server.")
        browser = self._required_browser(request)
        tab = request.match_info["tab"]
        if _TAB.fullmatch(tab) is None:
            raise web.HTTPNotFound(text="There is no such tab.")
        size = parse_size(request.query.get("width"), request.query.get("height"))
        socket = web.WebSocketResponse(
            heartbeat=_HEARTBEAT, max_msg_size=MAX_BYTES, compress=False, timeout=_CLOSE_SECONDS
        )
        await socket.prepare(request)
        try:
            app = await self._apps.open(browser, tab, size)
        except LimitError as error:
            await _close(socket, REFUSED, str(error))
            return socket
        await _Connection(socket, app, size).run()
        return socket


class _Connection:
    """One page that shows an app."""

    def __init__(self, socket: web.WebSocketResponse, app: AppSession, size: Size) -> None:
        self._socket, self._app, self._size = socket, app, size

    async def run(self) -> None:
        outbox = await self._app.attach(self._size)
        sender = asyncio.create_task(self._send(outbox))
        try:
            await self._receive()
        finally:
            self._app.detach(outbox)
            sender.cancel()
            with suppress(asyncio.CancelledError):
                await sender

    async def _send(self, outbox: Outbox) -> None:
        try:
            while True:
                frame = await outbox.get()
                if frame is None:
                    await self._app.redraw_lost(outbox, self._size)
                elif isinstance(frame, bytes):
                    await self._socket.send_bytes(frame)
                else:
                    await self._socket.send_str(frame)
        except OutboxClosedError as closed:
            await _close(self._socket, closed.code, closed.reason)
        except (ConnectionError, RuntimeError):
            # The page is gone; `_receive` ends as well.
            return

    async def _receive(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                continue
            parsed = parse_message(message.data)
            if isinstance(parsed, Size):
                self._size = parsed
            if parsed is not None:
                await self._app.handle(parsed)


async def _close(socket: web.WebSocketResponse, code: int, reason: str) -> None:
    with suppress(ConnectionError, RuntimeError):
        await socket.close(code=code, message=reason.encode()[:_MAX_REASON])


def _cookie_name(request: web.Request) -> str:
    """The name of the cookie. It has the port: browsers share cookies between the ports of a host name."""
    port = host_port(request.headers.get("Host", ""))
    return f"c8s-serve-{port}" if port else "c8s-serve"


def _message(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=pages.message_page(text), content_type="text/html")


def _set_headers(response: web.StreamResponse, host: str, nonce: str) -> None:
    response.headers.update(
        {
            "Content-Security-Policy": pages.content_policy(host, nonce),
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Server": "c8s",
        }
    )
