"""The dashboard of a live sandbox in a real browser, with and without scripts, and with hostile runs."""

from __future__ import annotations

import os
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dashboard.site import ARTIFACT, PAYLOAD, Site, wait_until_settled
from tests.live import C8s
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.xdist_group("browser")]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_every_page_is_sound_and_hostile_content_is_inert(site: Site, scripts: bool) -> None:
    with site.page(java_script_enabled=scripts) as tab:
        for path in site.pages:
            answer = tab.goto(site.root + path)
            assert answer.status == 200, path
            assert tab.locator("main h1").count() == 1
            assert tab.locator("main script, main iframe, main object, main embed, main style").count() == 0
            # The only pictures are those of the preview.
            assert tab.locator("main img").count() == 0, path
            assert "\u202e" not in tab.content()
            if scripts:
                assert tab.evaluate("window.hacked") is None
                assert tab.title() != "owned"
        tab.goto(f"{site.root}runs/{site.hostile}/steps/build?line=1")
        assert PAYLOAD in tab.locator("#L1 code").text_content()
        tab.goto(f"{site.root}runs/{site.hostile}/tests")
        assert PAYLOAD in tab.locator("details .log").first.text_content()


def test_artifacts_are_downloads_and_never_pages(site: Site) -> None:
    with site.page() as tab:
        tab.goto(f"{site.root}runs/{site.hostile}/artifacts")
        row = tab.locator("tr", has_text=ARTIFACT)
        with tab.expect_download() as waiting:
            row.get_by_text("Download").click()
        assert Path(waiting.value.path()).read_text() == PAYLOAD + "\n"
        row.locator("a").first.click()
        tab.wait_for_url("**/preview/**")
        assert PAYLOAD in tab.locator(".log").text_content()
        answer = tab.request.get(f"{site.root}runs/{site.hostile}/artifacts/build/picture/out/x.svg")
        assert answer.status == 415
        assert tab.evaluate("window.hacked") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(site: Site, scheme: str) -> None:
    with site.page(color_scheme=scheme) as tab:
        from axe_playwright_python.sync_playwright import Axe

        for path in site.pages:
            tab.goto(site.root + path)
            # Not on the page's network, so that the policy does not refuse it.
            found = Axe().run(tab, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
            assert [(each["id"], each["nodes"][0]["html"]) for each in found.response["violations"]] == [], path


def test_phone_needs_no_sideways_scrolling(site: Site) -> None:
    with site.page(viewport={"width": 360, "height": 740}) as tab:
        for path in site.pages:
            tab.goto(site.root + path)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_keyboard_reaches_the_content_and_the_search(site: Site) -> None:
    with site.page() as tab:
        tab.goto(site.root + "runs")
        tab.keyboard.press("Tab")
        assert tab.evaluate("document.activeElement.className") == "skip"
        tab.keyboard.press("Enter")
        tab.wait_for_function("() => location.hash === '#main'")
        tab.keyboard.press("/")
        assert tab.evaluate("document.activeElement.name") == "filter"
        tab.keyboard.type("status:running pipeline:nothing")
        tab.keyboard.press("Enter")
        tab.wait_for_url("**filter=status**")
        tab.get_by_text("No run matches.").wait_for()
        wait_until_settled(tab)
        # With scripts, no page is loaded anew: what is set on the window stays.
        tab.evaluate("window.kept = 1")
        tab.get_by_text("All runs").press("Enter")
        tab.get_by_role("link", name=site.hostile, exact=True).wait_for()
        wait_until_settled(tab)
        tab.get_by_role("link", name=site.hostile, exact=True).press("Enter")
        tab.wait_for_url(f"**/runs/{site.hostile}")
        wait_until_settled(tab)
        node = tab.locator("svg.graph a", has_text="lint")
        node.focus()
        node.press("Enter")
        tab.wait_for_url("**/steps/lint")
        assert tab.evaluate("window.kept") == 1


def test_line_of_a_long_log_is_a_link(site: Site) -> None:
    with site.page() as tab:
        tab.goto(f"{site.root}runs/{site.hostile}/steps/lint")
        assert tab.locator("#L1201.failing").is_visible()
        tab.goto(f"{site.root}runs/{site.hostile}/steps/lint?line=120#L120")
        assert tab.locator("#L120:target").is_visible()
        assert tab.locator("#L90").count() == 0
        tab.get_by_text("Later lines").first.click()
        tab.wait_for_url("**line=600*")
        assert tab.locator("#L600").is_visible()


def test_run_changes_without_a_reload(site: Site) -> None:
    run, gate = site.start()
    with site.page() as tab:
        tab.goto(f"{site.root}runs/{run}")
        tab.locator("#s0 .badge.Running").wait_for()
        tab.evaluate("window.kept = 1")
        gate.touch()
        tab.locator("#s1 .badge.Succeeded").wait_for()
        tab.get_by_role("button", name="Run again").wait_for()
        assert tab.evaluate("window.kept") == 1
        assert tab.locator("[data-live]").count() == 0


def test_log_grows_without_a_reload(site: Site) -> None:
    run, gate = site.start()
    with site.page() as tab:
        tab.goto(f"{site.root}runs/{run}")
        tab.locator("#s0 .badge.Running").wait_for()
        tab.goto(f"{site.root}runs/{run}/steps/first")
        tab.get_by_text("begun", exact=True).wait_for()
        gate.touch()
        tab.get_by_text("released", exact=True).wait_for()


SHOW = """state => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_hidden_tab_gives_its_stream_back_and_misses_nothing(site: Site) -> None:
    run, gate = site.start()
    with site.page() as tab:
        tab.goto(f"{site.root}runs/{run}")
        tab.locator("#s0 .badge.Running").wait_for()
        tab.goto(f"{site.root}runs/{run}/steps/first")
        tab.get_by_text("live", exact=True).wait_for()
        tab.get_by_text("begun", exact=True).wait_for()
        with tab.expect_event("requestfailed", lambda request: "/events" in request.url):
            tab.evaluate(SHOW, "hidden")
        gate.touch()
        site.wait_for_end(run, "Succeeded")
        assert tab.get_by_text("released", exact=True).count() == 0
        tab.evaluate(SHOW, "visible")
        tab.get_by_text("released", exact=True).wait_for()
        numbers = [each.text_content() for each in tab.locator(".log div > a").all()]
        assert len(numbers) == len(set(numbers))


def test_cancel_is_a_button_with_and_without_scripts(site: Site) -> None:
    for scripts in (True, False):
        run, _ = site.start()
        with site.page(java_script_enabled=scripts) as tab:
            tab.goto(f"{site.root}runs/{run}")
            with nullcontext() if scripts else tab.expect_navigation():
                tab.get_by_role("button", name="Cancel").click()
            site.wait_for_end(run, "Cancelled")
            if not scripts:
                tab.reload()
            tab.locator("#head .badge.Cancelled").wait_for()
            assert tab.url == f"{site.root}runs/{run}"


def test_streams_go_on_when_the_api_restarts(site: Site) -> None:
    run, gate = site.start()
    with site.page() as tab:
        tab.goto(f"{site.root}runs/{run}")
        tab.get_by_text("live", exact=True).wait_for()
        tab.evaluate("window.kept = 1")
        controller = next(line for line in site.c8s.processes() if " controller --role" in line)
        os.kill(int(controller.split()[0]), signal.SIGKILL)
        gate.touch()
        tab.get_by_role("button", name="Run again").wait_for()
        assert tab.evaluate("window.kept") == 1
        # The connection was refused for a while, which the browser reports.
        site.problems[:] = [each for each in site.problems if "net::ERR" not in each and "503" not in each]


def test_page_leads_to_the_form_when_the_session_has_ended(site: Site) -> None:
    run, gate = site.start()
    try:
        with site.page(signed_in=False) as tab:
            tab.goto(site.c8s("open", "--no-browser", run).stdout.strip())
            tab.wait_for_url(f"**/runs/{run}")
            tab.get_by_text("live", exact=True).wait_for()
            other = tab.context.new_page()
            other.goto(site.root + "runs")
            other.get_by_role("button", name="Sign out").click()
            other.wait_for_url("**/sign-in")
            tab.wait_for_url("**/sign-in?to=**")
            assert tab.locator("input[name=to]").input_value() == f"/ui/namespaces/default/runs/{run}"
            site.problems[:] = [each for each in site.problems if "401" not in each]
    finally:
        gate.touch()


def test_address_signs_in_once(site: Site) -> None:
    address = site.c8s("open", "--no-browser", site.hostile).stdout.strip()
    with site.page(signed_in=False) as tab:
        tab.goto(address)
        tab.wait_for_url(f"**/runs/{site.hostile}")
        assert tab.evaluate("document.cookie") == ""
    with site.page(signed_in=False) as tab:
        assert tab.goto(address).status == 401
        assert "c8s open" in tab.locator("[role=alert]").text_content()
        site.problems.clear()


def test_viewer_reads_and_is_out_when_the_token_is_revoked(site: Site) -> None:
    made = site.c8s("token", "create", "--role", "viewer", "--namespace", "default", "--for", "guest").stdout
    fields = dict(line.split(": ", 1) for line in made.splitlines() if ": " in line)
    with site.page(signed_in=False) as tab:
        tab.goto(f"{site.root}runs/{site.hostile}")
        tab.get_by_label("Token").fill(fields["token"])
        tab.get_by_role("button", name="Sign in").click()
        tab.wait_for_url(f"**/runs/{site.hostile}")
        tab.locator("svg.graph").wait_for()
        assert [each.text_content() for each in tab.locator("button").all()] == ["Sign out"]
        csrf = tab.locator("input[name=csrf]").first.input_value()
        answer = tab.request.post(f"{site.root}runs/{site.hostile}/rerun", form={"csrf": csrf, "only": "all"})
        assert answer.status == 403
        assert "may not create pipelineruns" in answer.text()
        listed = site.c8s("token", "list", "--namespace", "default").stdout
        name = next(word for word in listed.split() if word.startswith("c8s-guest"))
        site.c8s("token", "revoke", name, "--namespace", "default")

        def is_signed_out() -> bool:
            tab.goto(f"{site.root}runs")
            return "/ui/sign-in" in tab.url

        wait_until(is_signed_out)
        # Until then the pages are refused.
        site.problems[:] = [each for each in site.problems if "403" not in each]


def test_open_says_what_is_wrong(site: Site, fresh: C8s) -> None:
    stopped = fresh("open", "--no-browser", expect=1)
    assert "c8s up" in stopped.stderr
    assert "no run" in site.c8s("open", "--no-browser", "nope", expect=1).stderr


def _second(tab: Any) -> float:
    return float(tab.locator("#player input[type=range]").input_value())


def test_run_is_played_and_scrubbed_without_a_reload(site: Site) -> None:
    with site.page() as tab:
        tab.goto(f"{site.root}runs/{site.hostile}")
        wait_until_settled(tab)
        tab.evaluate("window.kept = 1")
        tab.get_by_role("link", name="Play", exact=True).press("Enter")
        # It plays at once, and the focus is on the button that pauses it.
        tab.get_by_role("button", name="Pause").wait_for()
        assert tab.evaluate("document.activeElement.textContent") == "Pause"
        wait_until(lambda: _second(tab) > 0, what="time goes on")
        tab.keyboard.press("Space")
        tab.get_by_role("button", name="Play").wait_for()
        slider = tab.get_by_role("slider", name="Second of the run")
        slider.focus()
        tab.keyboard.press("Home")
        tab.locator("#n0.Pending").wait_for()
        tab.get_by_text("No step has started yet.").wait_for()
        tab.wait_for_function("() => location.search === '?at=0'")
        tab.keyboard.press("ArrowRight")
        assert 0 < _second(tab) < 5
        tab.keyboard.press("End")
        tab.locator("#head .badge.Succeeded").wait_for()
        tab.get_by_label("Log of").select_option("build")
        tab.locator("#log-at code", has_text=PAYLOAD).first.wait_for()
        change = tab.get_by_role("link", name="‹ Change")
        while _second(tab) > 0:
            before = _second(tab)
            change.press("Enter")
            assert _second(tab) < before
        tab.locator("#head .badge.Pending").wait_for()
        assert tab.evaluate("window.kept") == 1
        assert tab.evaluate("window.hacked") is None
        # What is sent on is the second that is shown.
        with tab.expect_response("**/moment?*") as waiting:
            tab.get_by_role("link", name="Change ›").press("Enter")
        waiting.value.finished()
        tab.wait_for_function("() => location.search.endsWith('&step=build') && !location.search.startsWith('?at=0&')")
        shown = _second(tab)
        tab.reload()
        assert _second(tab) == pytest.approx(shown, abs=0.01)


def test_any_second_of_a_run_is_shown_without_scripts(site: Site) -> None:
    with site.page(java_script_enabled=False) as tab:
        tab.goto(f"{site.root}runs/{site.hostile}")
        tab.get_by_role("link", name="Play", exact=True).click()
        tab.locator("#head .badge.Pending").wait_for()
        assert tab.get_by_role("button", name="Play").count() == 0
        tab.get_by_role("link", name="Change ›").click()
        tab.wait_for_url("**?at=*")
        tab.get_by_role("slider").press("End")
        tab.get_by_label("Log of").select_option("build")
        tab.get_by_role("button", name="Show").click()
        tab.wait_for_url("**step=build")
        tab.locator("#head .badge.Succeeded").wait_for()
        assert PAYLOAD in tab.locator("#log-at").text_content()
