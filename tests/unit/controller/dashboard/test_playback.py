"""A run that has ended as it was at a second: without scripts, and in pieces for the script that plays it."""

from __future__ import annotations

import array
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.dashboard.views.history import MAX_HISTORIES, MAX_VIEWS, Histories, RunHistory
from controller.dashboard.views.run_parts import changed_parts, run_parts
from controller.kube import PIPELINE_RUNS
from controller.logs import Block, Stream
from controller.logs.archive.writer import ArchiveWriter
from controller.run_types.summary import summarize_run
from tests.support.bundles import decoded, sample_run
from tests.unit.controller.dashboard.browser import RUNS, Browser, run_dashboard
from tests.unit.controller.dashboard.test_pages import page
from workbench.bundle.timeline import run_at

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINES = [(9.1, "looking"), (10.0, "<b>AssertionError</b>"), (9.9, "late"), (11.0, "1 failed")]


def run_object(name: str = "shop-3") -> dict[str, Any]:
    """The run of the tests of the workbench, as Kubernetes has it."""
    found = sample_run()
    metadata = {"name": name, "namespace": "a", "uid": f"uid-of-{name}", "creationTimestamp": found["createdAt"]}
    return {"metadata": metadata, "spec": {"pipeline": found["definition"]}, "status": found["status"]}


def history() -> RunHistory:
    found = RunHistory.of(run_object())
    assert found is not None
    return found


@given(seconds=st.floats(-1, 14))
def test_page_shows_what_the_workbench_shows(seconds: float) -> None:
    at = history().clamp(seconds)
    found, expected = history().view(at), run_at(decoded(), START + timedelta(seconds=at))
    assert found.row.phase == expected.phase
    assert [step.phase for step in found.steps] == [step.phase for step in expected.steps]
    assert [step.attempts for step in found.steps] == [len(step.attempts) for step in expected.steps]
    assert [step.why for step in found.steps] == [step.message or "" for step in expected.steps]
    assert dict(found.counts) == {
        name: count for name, count in vars(expected.summary).items() if count and name != "total"
    }


@given(seconds=st.floats(0, 11.9))
def test_nothing_moves_or_is_drawn_after_the_moment(seconds: float) -> None:
    at = history().clamp(seconds)
    found = history().view(at)
    assert found.since is None
    for step in found.steps:
        assert step.since is None
        # The bars are of the whole run: eleven seconds from its start.
        assert all(bar.x + bar.width <= at / 12 * 1000 + 3 for bar in step.bars)
    assert history().view(12).is_final
    assert not found.is_final


@given(before=st.floats(0, 12), after=st.floats(0, 12))
def test_what_is_sent_makes_the_page_of_one_moment_that_of_another(before: float, after: float) -> None:
    first, second = (history().view(history().clamp(at)) for at in (before, after))
    assert {**run_parts(first), **changed_parts(first, second)} == run_parts(second)


def test_histories_are_kept_until_the_run_changes() -> None:
    histories, run = Histories(), run_object()
    run["metadata"]["resourceVersion"] = "1"
    found = histories.of(run)
    assert histories.of(run) is found
    again = {**run, "metadata": {**run["metadata"], "resourceVersion": "2"}}
    assert histories.of(again) is not found
    for number in range(MAX_HISTORIES):
        histories.of({**run, "metadata": {**run["metadata"], "uid": str(number)}})
    assert histories.of(run) is not found
    assert found is not None
    assert found.view(5) is found.view(5)
    for at in range(2 * MAX_VIEWS):
        found.view(at / 100)
    assert len(found._views) == MAX_VIEWS


def test_run_in_the_cache_is_played_like_the_whole_one() -> None:
    whole, summary = run_object(), summarize_run(run_object())
    for at in (0.5, 5.5, 7, 12):
        played = [RunHistory.of(each) for each in (whole, summary)]
        first, second = [each.view(at) for each in played if each is not None]
        assert first == second or (first.steps, first.counts) == (second.steps, second.counts)


def test_moments_are_within_the_run_and_stop_at_its_changes() -> None:
    found = history()
    assert (found.clamp(-1), found.clamp(5.004), found.clamp(1e9), found.seconds) == (0, 5.0, 12, 12)
    assert (found.previous_change(0), found.next_change(12)) == (None, None)
    seen, at = [], 0.0
    while (following := found.next_change(at)) is not None:
        seen.append(at := following)
    assert seen == found.changes[1:]
    assert found.previous_change(seen[-1]) == seen[-2]


@pytest.mark.parametrize("phase", ["Running", "Pending"])
def test_only_runs_that_have_ended_are_played(phase: str) -> None:
    run = run_object()
    run["status"] = {**run["status"], "phase": phase}
    assert RunHistory.of(run) is None
    assert RunHistory.of({**run, "status": {"phase": "Failed"}, "metadata": {"name": "x"}}) is None


async def with_run(browser: Browser) -> None:
    """The run, and the log of the second attempt of `check`."""
    await browser.sign_in()
    run = run_object()
    await browser.api.kubernetes.create(PIPELINE_RUNS, run, "a")
    browser.api.kubernetes.objects[(PIPELINE_RUNS, "a", "shop-3")]["metadata"]["creationTimestamp"] = run["metadata"][
        "creationTimestamp"
    ]
    browser.api.kubernetes.status("a", "shop-3", **run["status"])
    # As in the informer's cache.
    browser.api.kubernetes.cache["a", "shop-3"] = summarize_run(browser.api.kubernetes.cache["a", "shop-3"])
    writer = ArchiveWriter(browser.api.store, Stream("a", "uid-of-shop-3", "check", 2, "step"))
    times = array.array("q", [int((START.timestamp() + seconds) * 1e9) for seconds, _ in LINES])
    writer.add(Block(1, times, "".join(f"{text}\n" for _, text in LINES).encode()))
    await writer.finish(None, None)


async def test_server_renders_any_second(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await with_run(browser)
        now = await page(browser, f"{RUNS}/shop-3")
        assert '<a class="button" href="?at=0" data-autoplay>Play</a>' in now
        then = await page(browser, f"{RUNS}/shop-3?at=10.5")
        assert 'type="range" name="at" min="0" max="12.0" step="any" value="10.5"' in then
        assert 'aria-valuetext="10.5s of 12.0s"' in then
        assert '<span class="badge Running">▶ Running</span>' in then
        assert "looking" in then
        assert "&lt;b&gt;AssertionError&lt;/b&gt;" in then
        assert "1 failed" not in then
        assert "check failed" not in then
        assert 'href="?at=9.0"' in then
        assert 'href="?at=12.0"' in then
        assert "data-live" not in then
        assert "data-since" not in then
        # What can be done with the run now is not of the past.
        assert "Run only what did not succeed" in then
        other = await page(browser, f"{RUNS}/shop-3?at=3&step=after")
        assert "It has not started yet." in other
        assert '<option value="after" selected>' in other
        assert 'href="?at=4.0&amp;step=after"' in other
        early = await page(browser, f"{RUNS}/shop-3?at=0")
        assert "No step has started yet." in early
        assert "1 failed" in await page(browser, f"{RUNS}/shop-3?at=99999")
        for wrong in ("at=-1", "at=nan", "at=inf", "at=x", "at=1e99", f"at=1&step={'x' * 64}"):
            assert (await browser.get(f"{RUNS}/shop-3?{wrong}")).status == 422, wrong


async def test_log_of_a_step_at_a_second(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await with_run(browser)
        then = await page(browser, f"{RUNS}/shop-3/steps/check?at=9.5")
        assert "looking" in then
        assert "AssertionError" not in then
        assert "second 9.5 of the run" in then
        assert 'shop-3?at=9.5&amp;step=check"' in then
        # A line that came late hides none, and none comes before its predecessors.
        assert "late" not in await page(browser, f"{RUNS}/shop-3/steps/check?at=9.95")
        assert "1 failed" in await page(browser, f"{RUNS}/shop-3/steps/check?at=11.5")
        before = await page(browser, f"{RUNS}/shop-3/steps/check?at=4.5")
        assert "looking" not in before
        assert (await browser.get(f"{RUNS}/shop-3/steps/check?at=5.5&attempt=2")).status == 404


async def test_script_gets_what_is_different(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await with_run(browser)
        address = f"{RUNS}/shop-3/moment"
        whole = (await browser.get(f"{address}?at=5.5")).json
        assert (whole["at"], whole["parts"].keys()) == (
            5.5, {"head", "log-at", "n0", "n1", "n2", "s0", "s1", "s2"}
        )  # fmt: skip
        later = (await browser.get(f"{address}?at=5.7&since=5.5")).json["parts"]
        assert later.keys() == {"head", "log-at", "s1"}
        assert (await browser.get(f"{address}?at=5.7&since=5.7")).json["parts"].keys() == {"log-at"}
        assert "first try" not in later["log-at"]
        shown = (await browser.get(f"{address}?at=10&step=check&playing=true")).json["parts"]["log-at"]
        assert "looking" in shown
        assert 'href="shop-3/steps/check?at=10.0"' in shown
        assert (await browser.get(f"{address}?at=x")).status == 422
        browser.api.kubernetes.status("a", "shop-3", phase="Running")
        assert (await browser.get(f"{address}?at=1")).status == 409


async def test_long_log_is_read_only_while_playing_pauses(tmp_path: Path) -> None:
    async with run_dashboard(tmp_path) as browser:
        await with_run(browser)
        status = run_object()["status"]
        status["steps"][1]["attempts"][1]["log"] = {"bytes": 100 * 1024 * 1024, "archived": True}
        browser.api.kubernetes.status("a", "shop-3", **status)
        played = (await browser.get(f"{RUNS}/shop-3/moment?at=10&step=check&playing=true")).json["parts"]["log-at"]
        assert "while playing pauses" in played
        assert "looking" in (await browser.get(f"{RUNS}/shop-3/moment?at=10&step=check")).json["parts"]["log-at"]


async def test_who_may_not_read_logs_sees_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_dashboard(tmp_path) as browser:
        await with_run(browser)
        authenticator = browser.api.state.authenticator
        allowed = authenticator.is_allowed

        async def is_allowed(user: Any, access: Any) -> bool:
            return access.subresource != "log" and await allowed(user, access)

        monkeypatch.setattr(authenticator, "is_allowed", is_allowed)
        assert "You may not read logs." in await page(browser, f"{RUNS}/shop-3?at=10")
        shown = (await browser.get(f"{RUNS}/shop-3/moment?at=10")).json["parts"]["log-at"]
        assert "looking" not in shown
