"""The script of the pages, and what happens between two streams, at an API whose runs the tests change at will."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dashboard.site import SETTLED, WAIT
from tests.support.chromium import launch_arguments
from tests.support.tools import find_tool
from tests.unit.controller.dashboard.browser import RUNS, Browser, create_run, run_dashboard, step

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]

SPEAK = """
window.sources = [];
window.EventSource = class extends EventTarget {
    constructor(url) { super(); window.sources.push(this); }
    close() {}
};
window.say = (kind, data) =>
    window.sources[0].dispatchEvent(new MessageEvent(kind, { data: JSON.stringify(data) }));
"""
"""Streams whose events a test sends, also when they come too late."""


@asynccontextmanager
async def open_tab(browser: Browser, script: str = "") -> AsyncIterator[Any]:
    """A signed-in tab."""
    from playwright.async_api import async_playwright

    await browser.sign_in()
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=find_tool("chromium"), args=launch_arguments())
        try:
            context = await chromium.new_context()
            context.set_default_timeout(WAIT)
            url = browser.api.url
            cookies: Any = [{"name": name, "value": value, "url": url} for name, value in browser.cookies.items()]
            await context.add_cookies(cookies)
            if script:
                await context.add_init_script(script)
            yield await context.new_page()
        finally:
            await chromium.close()


def requests_of(tab: Any) -> list[str]:
    """The pages that are asked for from now on."""
    asked: list[str] = []
    tab.on("request", lambda request: None if "/static/" in request.url else asked.append(request.url))
    return asked


async def say_end(tab: Any) -> None:
    """What the first stream says at the end of its run; returns when it has been acted on."""
    await tab.evaluate("say('parts', {head: '<div id=head>it is over</div>'})")
    await tab.evaluate("say('reload', null)")
    await tab.evaluate("new Promise((done) => setTimeout(done, 0))")


async def test_a_page_that_can_not_be_had_is_asked_for_until_it_is_there(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await create_run(browser.api)
        async with open_tab(browser) as tab:
            await tab.goto(f"{browser.api.url}{RUNS}/ci-1")
            await tab.get_by_text("live", exact=True).wait_for()
            await tab.evaluate("window.kept = 1")
            answers = ["abort", "refuse"]

            async def fail_at_first(route: Any) -> None:
                answer = answers.pop(0) if answers else ""
                if answer == "abort":
                    await route.abort()
                elif answer:
                    await route.fulfill(status=503, content_type="text/html", body="<main>not now</main>")
                else:
                    await route.continue_()

            await tab.route(f"**{RUNS}/ci-1", fail_at_first)
            browser.api.kubernetes.status("a", "ci-1", phase="Cancelled", steps=[step("build", "Cancelled")])
            # What the stream has said is shown meanwhile.
            await tab.locator("#head .badge.Cancelled").wait_for()
            await tab.get_by_role("button", name="Run again").wait_for()
            assert answers == []
            assert await tab.evaluate("window.kept") == 1


async def test_what_is_said_to_a_page_that_was_left_changes_no_other(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await create_run(browser.api)
        await create_run(browser.api, "ci-2")
        async with open_tab(browser, SPEAK) as tab:
            await tab.goto(f"{browser.api.url}{RUNS}/ci-1")
            await tab.wait_for_function("() => window.sources.length === 1")
            for link in ("Runs", "ci-2"):
                await tab.wait_for_function(f"() => {SETTLED}")
                await tab.get_by_role("link", name=link, exact=True).click()
            await tab.wait_for_function("() => window.sources.length === 2")
            asked = requests_of(tab)
            await say_end(tab)
            assert await tab.locator("#head .badge.Running").count() == 1
            assert asked == []


async def test_a_page_that_is_being_left_does_not_come_back(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await create_run(browser.api)
        async with open_tab(browser, SPEAK) as tab:
            await tab.goto(f"{browser.api.url}{RUNS}/ci-1")
            await tab.wait_for_function("() => window.sources.length === 1")
            is_asked_for, may_go_on = asyncio.Event(), asyncio.Event()

            async def hold(route: Any) -> None:
                is_asked_for.set()
                await may_go_on.wait()
                await route.continue_()

            await tab.route(f"**{RUNS}", hold)
            await tab.wait_for_function(f"() => {SETTLED}")
            asked = requests_of(tab)
            await tab.get_by_role("link", name="Runs", exact=True).click(no_wait_after=True)
            await is_asked_for.wait()
            await say_end(tab)
            may_go_on.set()
            await tab.wait_for_url(f"**{RUNS}")
            await tab.get_by_role("heading", name="Runs").wait_for()
            assert asked == [f"{browser.api.url}{RUNS}"]
