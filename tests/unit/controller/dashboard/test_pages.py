"""The pages as a browser without scripts sees them."""

from __future__ import annotations

import asyncio
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from controller.dashboard import rendering
from controller.kube import PIPELINE_CONFIGS, PIPELINE_RUNS, REPOSITORY_CONNECTIONS
from controller.logs import LogReader, Stream
from controller.logs.archive.writer import ArchiveWriter
from tests.unit.controller.api.routes.run.test_logs import block
from tests.unit.controller.dashboard.browser import RUNS, Browser, create_run, run_dashboard, step
from tests.unit.controller.dashboard.test_views import HOSTILE

STREAM = Stream("a", "uid-of-ci-1", "build", 1, "step")
_VOID = {"meta", "link", "input", "img", "br", "hr", "rect", "path"}


class _Reader(HTMLParser):
    """The elements and attributes of a page; fails where an element is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self._open.pop() == tag


async def page(browser: Browser, path: str, status: int = 200) -> str:
    answer = await browser.get(path)
    assert answer.status == status, answer.body[:2000]
    text = answer.body.decode()
    found = _Reader(text)
    assert not any(name.startswith("on") for name in found.attributes), found.attributes
    assert "style" not in found.tags | found.attributes
    assert not any(link.lower().startswith(("javascript:", "data:", "http")) for link in found.links)
    return text


async def test_lists_show_runs_and_pipelines(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        assert "No run matches" in await page(browser, RUNS)
        await create_run(browser.api, "ci-1", phase="Failed")
        await create_run(browser.api, "ci-2")
        config = {"metadata": {"name": "saved", "namespace": "a"}, "spec": {}}
        await browser.api.kubernetes.create(PIPELINE_CONFIGS, config, "a")
        text = await page(browser, RUNS)
        assert text.index(f"{RUNS}/ci-2") < text.index(f"{RUNS}/ci-1")
        failed = await page(browser, f"{RUNS}?filter=status:failed")
        assert f"{RUNS}/ci-1" in failed
        assert f"{RUNS}/ci-2" not in failed
        assert "did you mean status?" in await page(browser, f"{RUNS}?filter=statsu:x")
        pipelines = await page(browser, "/ui/namespaces/a/pipelines")
        assert pipelines.index("?pipeline=ci") < pipelines.index("?pipeline=saved")


async def test_home_leads_to_the_only_namespace(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        assert (await browser.get("/ui")).headers["Location"] == "/ui/"
        assert "You may list runs in no namespace" in await page(browser, "/ui/")


async def test_run_shows_steps_with_why(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        steps = [
            step("build", "Failed", message="exit code 2: boom", firstFailure={"line": 120, "text": "boom"}),
            step("test", "Skipped", dependsOn=["build"], message="build failed"),
        ]
        await create_run(browser.api, steps=steps, phase="Failed", message="build failed: exit code 2")
        text = await page(browser, f"{RUNS}/ci-1")
        for part in ("exit code 2: boom", 'href="ci-1/steps/build?line=120#L120"', "build failed", "<svg", "Run again",
                     "Run only what did not succeed", 'id="n1"', 'id="s1"'):  # fmt: skip
            assert part in text, part
        assert "data-live" not in text
        await create_run(browser.api, "ci-2")
        running = await page(browser, f"{RUNS}/ci-2")
        assert "Cancel" in running
        assert 'data-live="ci-2/events?since=' in running
        assert "Compare with ci-1" in running


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_run_is_inert(tmp_path: Path, text: str) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        failure = {"line": 1, "text": text}
        steps = [step(text, "Failed", slug="build", message=text, firstFailure=failure)]
        spec = {"branch": text, "commit": text, "event": text, "triggeredBy": text, "pipeline": {"name": "ci"}}
        await create_run(browser.api, steps=steps, spec=spec, phase="Failed", message=text, reason="X",
                         problems=[{"file": text, "line": 1, "column": 1, "message": text}])  # fmt: skip
        log = browser.api.hub.open(STREAM, 1, [])
        browser.api.hub.publish(log, block(1, text.encode("utf-8", "replace").decode()))
        for path in ("", "/ci-1", "/ci-1/steps/build", "/ci-1/steps/build?search=l", "/ci-1/artifacts"):
            shown = await page(browser, RUNS + path)
            assert "<script>alert" not in shown
            assert "\u202e" not in shown
        for path in ("pipelines", "compare?left=ci-1&right=ci-1", "deliveries"):
            await page(browser, f"/ui/namespaces/a/{path}")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_deliveries_are_listed_newest_first_and_inert(tmp_path: Path, text: str) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        await create_run(browser.api, phase="Failed")
        old = {"id": "1", "time": "2026-01-01T00:00:00Z", "about": "an old push", "outcome": "ignored", "runs": []}
        new = {"id": "2", "time": "2026-01-02T00:00:00Z", "about": text, "commit": text, "outcome": "started",
               "reason": text, "runs": ["ci-1", "ci-9"]}  # fmt: skip
        broken = {"id": "3", "time": text, "outcome": text}
        ready = {"type": "Ready", "status": "False", "message": text}
        connection = {
            "metadata": {"name": "shop", "namespace": "a"},
            "spec": {"repository": "https://forge.example/shop", "provider": "github"},
            "status": {"conditions": [ready], "deliveries": [broken, old, new]},
        }
        await browser.api.kubernetes.create(REPOSITORY_CONNECTIONS, connection, "a")
        shown = await page(browser, "/ui/namespaces/a/deliveries")
        assert "https://forge.example/shop" in shown
        assert shown.index('title="2026-01-02 00:00:00 UTC"') < shown.index("an old push")
        assert f'href="{RUNS}/ci-1"' in shown
        assert "ci-9 was deleted" in shown
        assert "<script>alert" not in shown
        assert "\u202e" not in shown


async def test_buttons_do_what_the_rest_api_does(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        await create_run(browser.api, phase="Failed", steps=[step("build", "Failed")], spec={
            "pipeline": {"version": "v1alpha1", "name": "ci",
                         "steps": [{"name": "build", "image": "x:1", "commands": ["true"]}]},
        })  # fmt: skip
        csrf = await browser.form_token()
        ended = await browser.post(f"{RUNS}/ci-1/cancel", {"csrf": csrf})
        assert ended.status == 409
        assert "has ended already" in ended.body.decode()
        again = await browser.post(f"{RUNS}/ci-1/rerun", {"csrf": csrf, "only": "failed"})
        assert again.status == 303
        name = again.headers["Location"].rpartition("/")[2]
        made = await browser.api.kubernetes.get(PIPELINE_RUNS, name, "a")
        assert made["spec"]["reuseFrom"] == "ci-1"
        assert made["spec"]["triggeredBy"] == "ann" or made["metadata"]["annotations"]
        assert (await browser.post(f"{RUNS}/ci-1/approve", {"csrf": csrf, "commit": "x"})).status == 409


async def test_log_is_read_by_ranges(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        attempts = [{"number": 1, "phase": "Failed", "times": {}, "log": {"archived": True, "lines": 1500}}]
        steps = [step("build", "Failed", attempts=attempts, firstFailure={"line": 1200, "text": "line 1200"})]
        await create_run(browser.api, steps=steps, phase="Failed")
        writer = ArchiveWriter(browser.api.store, STREAM)
        writer.add(block(1, *[f"line {number}" for number in range(1, 1501)]))
        await writer.finish(None, None)
        address = f"{RUNS}/ci-1/steps/build"
        at_failure = await page(browser, address)
        assert 'id="L1200" class="failing"' in at_failure
        assert "lines 1180 to 1500 of 1500" in at_failure
        assert "data-live" not in at_failure
        first = await page(browser, f"{address}?line=1")
        assert 'id="L500"' in first
        assert 'id="L501"' not in first
        assert 'line=501#L501">Later lines' in first
        assert "lines 1001 to 1500 of 1500" in await page(browser, f"{address}?tail=1")
        assert "lines 100 to 599 of 1500" in await page(browser, f"{address}?line=120")
        hits = await page(browser, f"{address}?search=LINE+77")
        assert "11 lines with" in hits
        assert 'href="build?line=770#L770"' in hits
        text = await browser.get(f"{address}/log.txt")
        assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert text.body.count(b"\n") == 1500
        assert (await browser.get(f"{RUNS}/ci-1/steps/nope")).status == 404
        assert (await browser.get(f"{address}?attempt=7")).status == 404


async def test_step_shows_what_it_used_and_why_it_ran(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        steps = [{"name": "build", "image": "x:1", "commands": ["true"], "resources": {"memory": "2Gi"}}]
        usage = {"memory": 2**20, "cpu": 10, "samples": 1, "interval": 1, "memoryOverTime": [1], "cpuOverTime": [10]}
        attempts = [{"number": 1, "phase": "Succeeded", "times": {}, "usage": usage}]
        await create_run(browser.api, phase="Succeeded", steps=[step("build", "Succeeded", attempts=attempts)],
                         spec={"pipeline": {"version": "v1alpha1", "name": "ci", "steps": steps}})  # fmt: skip
        text = await page(browser, f"{RUNS}/ci-1/steps/build")
        assert "1.0 MiB" in text
        assert "2Gi" in text
        assert 'href="build/why">Why it ran' in text
        why = await page(browser, f"{RUNS}/ci-1/steps/build/why")
        assert "No earlier run of the pipeline that is still there has succeeded in build." in why
        assert (await browser.get(f"{RUNS}/ci-1/steps/nope/why")).status == 404


async def test_step_without_a_log_says_so(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        await create_run(browser.api, steps=[step("build", "Pending", attempts=[])])
        assert "the step has not started" in await page(browser, f"{RUNS}/ci-1/steps/build")


async def next_event(content: Any) -> tuple[str, Any]:
    """The kind and the data of the next event."""
    kind = ""
    async with asyncio.timeout(60):
        while True:
            line = (await content.readline()).decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                return kind, json.loads(line[6:])
            else:
                assert line == "" or line.startswith((":", "id:")), line


async def live_address(browser: Browser, path: str) -> str:
    """Where the stream of a page is, as the page says."""
    (relative,) = re.findall(r'data-live="([^"]+)"', await page(browser, path))
    return urljoin(f"{browser.api.url}{path}", html.unescape(relative))


def cookies(browser: Browser) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}


async def test_stream_sends_the_pieces_of_the_page_that_change(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        await create_run(browser.api, steps=[step("build"), step("test", "Pending")])
        address = await live_address(browser, f"{RUNS}/ci-1")
        async with browser.api.http.get(address, headers=cookies(browser)) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            browser.api.kubernetes.status(
                "a", "ci-1", phase="Running", steps=[step("build", "Succeeded"), step("test")]
            )
            kind, parts = await next_event(answer.content)
            assert kind == "parts"
            assert parts.keys() >= {"s0", "s1", "n0", "n1"}
            assert parts["s0"].startswith('<tr id="s0">')
            assert parts["n1"].startswith('<a id="n1" class="n Running"')
            steps = [step("build", "Succeeded"), step("test", "Succeeded")]
            browser.api.kubernetes.status("a", "ci-1", phase="Succeeded", steps=steps)
            kind, parts = await next_event(answer.content)
            assert kind == "parts"
            assert "s0" not in parts
            assert await next_event(answer.content) == ("reload", None)
            assert await answer.content.read() == b"\n"


async def test_stream_sends_what_a_page_has_missed(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        await create_run(browser.api)
        address = re.sub(r"since=\d+", "since=1", await live_address(browser, f"{RUNS}/ci-1"))
        async with browser.api.http.get(address, headers=cookies(browser)) as answer:
            kind, parts = await next_event(answer.content)
            assert (kind, parts.keys()) == ("parts", {"head", "s0", "n0"})
            more = [step("source"), step("build")]
            browser.api.kubernetes.status("a", "ci-1", phase="Running", steps=more)
            assert await next_event(answer.content) == ("reload", None)


@pytest.mark.parametrize("resumed", [False, True], ids=["first", "resumed"])
async def test_a_page_is_made_again_whatever_it_missed(tmp_path: Path, resumed: bool) -> None:
    """What happens between the page and its stream, or between two streams, can't be seen in a stream."""

    async def first_event(address: str) -> str:
        run = await browser.api.kubernetes.get(PIPELINE_RUNS, "ci-1", "a")
        headers = cookies(browser) | ({"Last-Event-ID": run["metadata"]["resourceVersion"]} if resumed else {})
        async with browser.api.http.get(address, headers=headers) as answer:
            return str((await next_event(answer.content))[0])

    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        await create_run(browser.api, steps=[])
        address = await live_address(browser, f"{RUNS}/ci-1")
        browser.api.kubernetes.status("a", "ci-1", phase="Running", steps=[step("build")])
        assert await first_event(address) == "reload", "it has no rows of the steps"
        address = await live_address(browser, f"{RUNS}/ci-1")
        browser.api.kubernetes.status("a", "ci-1", phase="Cancelled", steps=[step("build", "Cancelled")])
        kind = await first_event(address)
        assert kind == ("reload" if resumed else "parts"), "it has the buttons of a run that goes on"


async def test_a_page_without_a_log_is_made_again_when_there_is_one(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        await create_run(browser.api, steps=[step("build", "Pending", attempts=[])])
        address = await live_address(browser, f"{RUNS}/ci-1/steps/build")
        assert address.endswith("/steps/build/events?lines=false")
        async with browser.api.http.get(address, headers=cookies(browser)) as answer:
            hub = browser.api.hub
            hub.publish(hub.open(STREAM, 1, []), block(1, "one"))
            assert await next_event(answer.content) == ("reload", None)
        assert "one" in await page(browser, f"{RUNS}/ci-1/steps/build")


async def test_a_log_that_is_read_slowly_is_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        await create_run(browser.api)
        hub, is_slow, may_read = browser.api.hub, asyncio.Event(), asyncio.Event()
        hub.publish(log := hub.open(STREAM, 1, []), block(1, "one"))
        address = await live_address(browser, f"{RUNS}/ci-1/steps/build")
        follow, heartbeats = LogReader.follow_run, 0

        async def slow(*args: Any, **options: Any) -> Any:
            is_slow.set()
            await may_read.wait()
            async for frame in follow(*args, **options):
                yield frame

        monkeypatch.setattr(LogReader, "follow_run", slow)
        async with browser.api.http.get(address, headers=cookies(browser)) as answer:
            await is_slow.wait()
            hub.publish(log, block(2, "two"))
            hub.mark_archived(log)
            browser.api.kubernetes.status("a", "ci-1", phase="Succeeded", steps=[step("build", "Succeeded")])
            while heartbeats < 3:
                heartbeats += (await answer.content.readline()).startswith(b": heartbeat")
            may_read.set()
            assert 'id="L2"' in (await next_event(answer.content))[1]
            assert await next_event(answer.content) == ("end", None)


async def test_stream_ends_with_the_session(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path, heartbeat_seconds=0.2) as browser:
        await browser.sign_in()
        await create_run(browser.api)
        csrf = await browser.form_token()
        headers = cookies(browser)
        async with browser.api.http.get(f"{browser.api.url}{RUNS}/ci-1/events", headers=headers) as answer:
            await next_event(answer.content)
            await browser.post("/ui/sign-out", {"csrf": csrf})
            async with asyncio.timeout(60):
                await answer.content.read()


async def test_stream_sends_the_lines_of_a_log_until_it_ends(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await browser.sign_in()
        await create_run(browser.api)
        hub = browser.api.hub
        log = hub.open(STREAM, 1, [])
        hub.publish(log, block(1, "one", "two"))
        text = await page(browser, f"{RUNS}/ci-1/steps/build")
        assert 'data-live="build/events?attempt=1&amp;after=2"' in text
        address = f"{browser.api.url}{RUNS}/ci-1/steps/build/events?attempt=1&after=2"
        async with browser.api.http.get(address, headers=cookies(browser)) as answer:
            hub.publish(log, block(3, "<b>three</b>"))
            kind, rows = await next_event(answer.content)
            assert kind == "lines"
            assert rows == ('<div id="L3"><a href="?line=3#L3">3</a><code>&lt;b&gt;three&lt;/b&gt;</code></div>')
            hub.mark_archived(log)
            assert await next_event(answer.content) == ("end", None)
        resumed = {**cookies(browser), "Last-Event-ID": "1"}
        async with browser.api.http.get(address, headers=resumed) as answer:
            assert 'id="L2"' in (await next_event(answer.content))[1]


async def test_assets_are_kept_by_browsers_until_they_change(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        for name, (data, kind) in rendering.assets().items():
            answer = await browser.get(rendering.environment().globals["assets"][name])
            assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, data, kind)
            assert "immutable" in answer.headers["Cache-Control"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (await browser.get("/ui/static/install.py")).status == 404
        assert (await browser.get("/ui/static/..%2frendering.py")).status == 404


def test_pages_work_without_the_package_of_htmx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "HTMX_PACKAGE", "no_such_package")
    rendering.assets.cache_clear()
    try:
        assert rendering.assets().keys() == {"dashboard.css", "dashboard.js", "player.js", "icon.svg"}
    finally:
        rendering.assets.cache_clear()
