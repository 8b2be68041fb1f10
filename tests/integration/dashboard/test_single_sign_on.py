"""The dashboard behind a proxy that signs people in, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.chromium import launch_arguments
from tests.support.tools import find_tool
from tests.unit.controller.api import fakes
from tests.unit.controller.dashboard.browser import RUNS, create_run
from tests.unit.controller.dashboard.test_auth_proxy import ALICE, SECRET, behind_proxy

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]

WAIT = 60_000


async def test_page_leads_to_the_proxys_form_when_its_session_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from playwright.async_api import async_playwright

    monkeypatch.setitem(fakes.RIGHTS, "no token of hers", ("oidc:alice@example.org", {"a"}))
    sent = {**ALICE, "X-C8s-Proxy-Secret": SECRET}
    async with behind_proxy(tmp_path, sent) as (browser, proxy), async_playwright() as playwright:
        await create_run(browser.api)
        chromium = await playwright.chromium.launch(executable_path=find_tool("chromium"), args=launch_arguments())
        tab = await chromium.new_page()
        tab.set_default_timeout(WAIT)
        await tab.goto(proxy.url + RUNS)
        await tab.get_by_text("oidc:alice@example.org").wait_for()
        await tab.wait_for_function("() => !!window.htmx")
        await tab.get_by_role("link", name="ci-1").click()
        await tab.get_by_text("live", exact=True).wait_for()
        # Another site, as that of an identity provider: no script may follow there.
        proxy.sign_in = browser.api.url.replace("127.0.0.1", "localhost") + "/ui/sign-in"
        await tab.get_by_role("link", name="Pipelines").click()
        await tab.wait_for_url("http://localhost:*/ui/sign-in")
        await chromium.close()
