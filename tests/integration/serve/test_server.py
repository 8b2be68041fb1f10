"""The server of `c8s serve` with small apps in its tabs: who gets in, what stays without a page, what is refused."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from tests.support.serve import small_app
from tests.support.serve.page_screen import PageScreen
from tests.support.waiting import wait_until_async
from workbench.serve.access import Access
from workbench.serve.app_session import CRASHED, ENDED, REFUSED, STOPPED, TAKEN
from workbench.serve.app_sessions import KEPT_SECONDS, MAX_OF_BROWSER, AppSessions
from workbench.serve.origin import origins_of
from workbench.serve.server import WorkbenchServer

TAB, OTHER_TAB = "0" * 32, "1" * 32
SECONDS = 60.0


class Clock:
    time = 1000.0

    def __call__(self) -> float:
        return self.time


@dataclass
class Page:
    """A page that is connected to an app."""

    socket: aiohttp.ClientWebSocketResponse
    screen: PageScreen = field(default_factory=PageScreen)
    texts: list[Any] = field(default_factory=list)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not condition():
                message = await self.socket.receive()
                if message.type is aiohttp.WSMsgType.BINARY:
                    self.screen.feed(message.data)
                elif message.type is aiohttp.WSMsgType.TEXT:
                    self.texts.append(message.json())
                else:
                    raise AssertionError((message, self.screen.text))

    async def shows(self, text: str) -> str:
        await self.until(lambda: text in self.screen.text)
        return self.screen.text

    async def end(self) -> tuple[int | None, str]:
        """Read to the end; how the server closed it."""
        async with asyncio.timeout(SECONDS):
            while True:
                message = await self.socket.receive()
                if message.type is aiohttp.WSMsgType.CLOSE:
                    return message.data, message.extra or ""
                if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                    return self.socket.close_code, ""

    async def type(self, text: str) -> None:
        await self.socket.send_json(["stdin", text])


@dataclass
class Site:
    """A running server."""

    server: TestServer
    apps: AppSessions
    access: Access
    clock: Clock
    reported: list[str]

    @property
    def root(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    @asynccontextmanager
    async def browser(self, *, read_only: bool = False) -> AsyncIterator[aiohttp.ClientSession]:
        """A browser that came in with a link."""
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            await session.get(f"{self.root}/enter?ticket={self.access.issue_ticket(read_only=read_only)}")
            yield session

    @asynccontextmanager
    async def page(
        self, browser: aiohttp.ClientSession, tab: str = TAB, *, size: str = "width=90&height=20"
    ) -> AsyncIterator[Page]:
        headers = {"Origin": self.root}
        async with browser.ws_connect(f"{self.root}/app/{tab}?{size}", headers=headers) as socket:
            yield Page(socket)


@asynccontextmanager
async def running(*, limit: int = 8, command: list[str] | None = None) -> AsyncIterator[Site]:
    clock, reported = Clock(), list[str]()
    access = Access(clock)
    small = command or [sys.executable, "-P", str(Path(small_app.__file__))]
    apps = AppSessions(
        lambda read_only: [*small, *(["--read-only"] if read_only else [])],
        limit=limit, now=clock, report=reported.append, environment=dict(os.environ),
    )  # fmt: skip
    server = TestServer(WorkbenchServer(access, apps, origins_of("127.0.0.1")).application())
    async with apps:
        await server.start_server()
        try:
            yield Site(server, apps, access, clock, reported)
        finally:
            await apps.stop_all()
            await server.close()


async def test_a_tab_has_an_app_that_outlives_its_page() -> None:
    async with running() as site, site.browser() as browser:
        async with site.page(browser) as page:
            first = await page.shows("typed <> 90x20 end")
            await page.type("xyz")
            await page.shows("typed <xyz> 90x20 end")
            await page.socket.send_json(["resize", {"width": 60, "height": 15}])
            await page.shows("60x15 end")
            await page.socket.send_json(["ping", "1"])
            await page.until(lambda: page.texts == [["pong", "1"]])
        await wait_until_async(lambda: _all_left(site), SECONDS)
        async with site.page(browser, size="width=70&height=10") as page:
            again = await page.shows("typed <xyz> 70x10 end")
            assert again.split()[1] == first.split()[1], "the same process"
        async with site.page(browser, OTHER_TAB) as page:
            other = await page.shows("typed <> 90x20 end")
            assert other.split()[1] != first.split()[1]


async def _all_left(site: Site) -> bool:
    return all(app.left_at is not None for app in site.apps._apps.values())


async def test_the_newer_page_of_a_tab_takes_its_app_over() -> None:
    async with running() as site, site.browser() as browser, site.page(browser) as page:
        await page.shows("typed <>")
        async with site.page(browser) as newer:
            assert (await page.end())[0] == TAKEN
            await newer.type("z")
            await newer.shows("typed <z>")


async def test_how_an_app_ends_is_said() -> None:
    async with running() as site, site.browser() as browser:
        async with site.page(browser) as page:
            await page.shows("typed <>")
            await page.type("q")
            assert (await page.end())[0] == ENDED
        async with site.page(browser) as page:
            await page.shows("typed <>")
            await page.type("f")
            assert (await page.end())[0] == CRASHED
        assert site.reported == ["what went wrong"]
        async with site.page(browser) as page:
            await page.shows("typed <>")
            pids = [app._process._process.pid for app in site.apps._apps.values()]
            await site.apps.stop_all()
            assert (await page.end())[0] == STOPPED
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


async def test_a_program_that_does_not_start_is_said() -> None:
    async with running(command=["/missing"]) as site, site.browser() as browser, site.page(browser) as page:
        code, reason = await page.end()
        assert code == REFUSED
        assert "No such file" in reason
    async with (
        running(command=[sys.executable, "-c", "import sys; sys.exit('no sandbox')"]) as site,
        site.browser() as browser,
        site.page(browser) as page,
    ):
        assert (await page.end())[0] == CRASHED
        assert site.reported == ["no sandbox"]


async def test_an_app_without_a_page_is_ended_in_the_end() -> None:
    async with running() as site, site.browser() as browser:
        async with site.page(browser) as page:
            await page.shows("typed <>")
        await wait_until_async(lambda: _all_left(site), SECONDS)
        site.clock.time += KEPT_SECONDS + 1
        await wait_until_async(lambda: _none(site), SECONDS)


async def _none(site: Site) -> bool:
    return len(site.apps) == 0


async def test_apps_are_limited() -> None:
    async with running(limit=2) as site, site.browser() as browser, site.browser(read_only=True) as viewer:
        async with site.page(browser, TAB) as first, site.page(viewer) as second:
            await first.shows("of a presenter")
            await second.shows("of a viewer")
            async with site.page(browser, OTHER_TAB) as third:
                code, reason = await third.end()
                assert (code, "--limit" in reason) == (REFUSED, True)
        await wait_until_async(lambda: _all_left(site), SECONDS)
        async with site.page(browser, OTHER_TAB) as page:
            await page.shows("typed <>")
    assert MAX_OF_BROWSER > 1


async def test_a_tab_that_starts_apps_again_and_again_is_stopped() -> None:
    async with running(command=[sys.executable, "-c", ""]) as site, site.browser() as browser:
        codes = []
        for _ in range(14):
            async with site.page(browser) as page:
                codes.append((await page.end())[0])
        assert codes == [ENDED] * 12 + [REFUSED] * 2


@pytest.mark.parametrize("content", [b"M{", b"M[]", b"P1:", b"P\xff", b"M" + b"[" * 100_000], ids=range(5))
async def test_an_app_that_writes_no_packets_is_ended_alone(content: bytes) -> None:
    packet = content[:1] + (len(content) - 1).to_bytes(4, "big") + content[1:]
    writes = f"import os, time; os.write(1, b'__GANGLION__\\n' + {packet!r}); time.sleep(60)"
    async with running(command=[sys.executable, "-c", writes]) as site, site.browser() as browser:
        async with site.page(browser) as page:
            assert await page.end() == (CRASHED, "The workbench has failed.")
        assert site.reported[0].startswith("a workbench was ended: it wrote a packet that can't be read: ")
        async with site.page(browser) as page:
            assert (await page.end())[0] == CRASHED


async def test_what_an_app_opens_and_gives_away() -> None:
    async with running() as site, site.browser() as browser, site.browser() as stranger, site.page(browser) as page:
        await page.shows("typed <>")
        await page.type("u")
        await page.type("d")
        await page.until(lambda: len(page.texts) == 2)
        assert page.texts[0] == ["open_url", {"url": "https://example.com/", "new_tab": True}]
        name = page.texts[1][1]
        assert (await stranger.get(f"{site.root}/download/{name}")).status == 404
        answer = await browser.get(f"{site.root}/download/{name}")
        assert await answer.read() == b"x" * 200_000 + b"end"
        assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''a%22%0D%0Ab.html"
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert (await browser.get(f"{site.root}/download/{name}")).status == 404


async def test_a_slow_page_gets_the_whole_screen_later() -> None:
    async with running() as site, site.browser() as browser, site.page(browser) as page:
        await page.shows("typed <>")
        await page.type("bk")  # 24 MB, which nobody reads meanwhile, and a key.
        app = next(iter(site.apps._apps.values()))
        outbox = app._outbox
        assert outbox is not None

        async def lost() -> bool:
            return outbox.has_lost

        await wait_until_async(lost, SECONDS)
        await page.shows("typed <k>")


@pytest.mark.parametrize("origin", [None, "http://evil.example", "null", "http://127.0.0.1:1"])
async def test_pages_of_others_are_refused(origin: str | None) -> None:
    async with running() as site, site.browser() as browser:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await browser.ws_connect(f"{site.root}/app/{TAB}", headers={"Origin": origin} if origin else {})
        assert refused.value.status == 403
        assert len(site.apps) == 0


async def test_without_a_session_nothing_is_shown() -> None:
    async with running() as site, aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as stranger:
        for path, status in (("/", 401), ("/session", 401), ("/download/x", 401), ("/enter", 403),
                             ("/enter?ticket=x", 403), ("/static/missing", 404), ("/other", 404)):  # fmt: skip
            answer = await stranger.get(site.root + path)
            assert (path, answer.status) == (path, status)
            assert "<h1>c8s workbench</h1>" in await answer.text()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await stranger.ws_connect(f"{site.root}/app/{TAB}", headers={"Origin": site.root})
        assert refused.value.status == 401


async def test_a_link_works_once_and_its_cookie_is_for_this_site_only() -> None:
    async with running() as site, aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        link = f"{site.root}/enter?ticket={site.access.issue_ticket(read_only=False)}"
        answer = await session.get(link)
        cookie = answer.headers["Set-Cookie"]
        for part in ("HttpOnly", "SameSite=Strict", "Path=/", f"c8s-serve-{site.server.port}="):
            assert part in cookie
        again = await session.get(link, allow_redirects=False)
        assert (again.status, again.headers["Location"]) == (303, "/")
        async with aiohttp.ClientSession() as other:
            refused = await other.get(link)
            assert refused.status == 403
            assert "has been used" in await refused.text()


async def test_every_answer_has_the_policy_of_the_server() -> None:
    async with running() as site, site.browser() as browser:
        for path in ("/", "/session", "/static/serve.js", "/missing", "/enter?ticket=x"):
            headers = (await browser.get(site.root + path, allow_redirects=False)).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'; script-src 'self';" in policy
            assert "unsafe" not in policy
            assert headers["Cache-Control"] == "no-store"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Server"] == "c8s"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", ""])
async def test_names_of_others_are_refused(host: str) -> None:
    async with running() as site, site.browser() as browser:
        answer = await browser.get(f"{site.root}/", headers={"Host": host})
        assert answer.status in (400, 421)


async def test_what_pages_send_wrongly_is_left_alone() -> None:
    async with running() as site, site.browser() as browser, site.page(browser) as page:
        await page.shows("typed <>")
        for text in ("", "[]", "{}", '["stdin"]', '["stdin", 1]', '["resize", {"width": -1}]', "[" * 5000, '["quit"]'):
            await page.socket.send_str(text)
        await page.socket.send_bytes(b"\x00")
        await page.type("ok")
        await page.shows("typed <ok>")
        await page.socket.send_str(" " * 2_000_000)
        assert (await page.end())[0] == 1009


@pytest.mark.parametrize("tab", ["", "x" * 32, "0" * 31, "..%2f" + "0" * 27])
async def test_other_names_of_tabs_are_refused(tab: str) -> None:
    async with running() as site, site.browser() as browser:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await browser.ws_connect(f"{site.root}/app/{tab}", headers={"Origin": site.root})
