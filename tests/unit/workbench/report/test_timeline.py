"""Bars of a timeline, and the critical path."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tui.fakes import NOW, run, step, webshop
from tests.unit.workbench.client.fake_api import TIME, run_json, step_json
from workbench.client.decode import decode_run
from workbench.client.models import Step
from workbench.report.report import PhaseSpan, build_report, step_spans
from workbench.report.timeline import Bar, Scale, Timeline, bars, critical_path

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def _at(seconds: float) -> datetime:
    return _BEGIN + timedelta(seconds=seconds)


def test_bars_are_proportional_to_time() -> None:
    scale = Scale(_at(0), _at(10), 20)
    found = [
        PhaseSpan("queued", _at(0), _at(2)),
        PhaseSpan("running", _at(2), _at(9)),
        PhaseSpan("uploading", _at(9), None),
    ]
    assert bars(found, scale, _at(10)) == (Bar("queued", 0, 4), Bar("running", 4, 18), Bar("uploading", 18, 20))


def test_very_short_step_has_one_cell() -> None:
    scale = Scale(_at(0), _at(1000), 10)
    assert bars([PhaseSpan("running", _at(1000), _at(1000.1))], scale, _at(1000)) == (Bar("running", 9, 10),)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=8), st.integers(1, 60))
def test_bars_do_not_overlap(moments: list[float], width: int) -> None:
    moments.sort()
    found = [PhaseSpan("running", _at(a), _at(b)) for a, b in pairwise(moments)]
    drawn = bars(found, Scale(_at(0), _at(100), width), _at(100))
    assert drawn
    edges = [edge for bar in drawn for edge in (bar.first, bar.last)]
    assert edges == sorted(edges)
    assert 0 <= edges[0] <= edges[-1] <= width
    assert all(bar.last > bar.first for bar in drawn)


def test_pending_run_has_no_scale() -> None:
    assert Timeline.of(run("a-1", "Pending", [step("one")])).scale(20, NOW) is None


@pytest.mark.parametrize("phase", ["Running", "Failed"])
def test_scale_of_a_run_goes_from_its_first_start_to_its_last_end_or_now(phase: str) -> None:
    shown = webshop(phase)
    spans = [span for each in shown.steps for span in step_spans(shown, each)]
    timeline = Timeline.of(shown)
    assert timeline.spans == {each.name: step_spans(shown, each) for each in shown.steps}
    expected = Scale(min(each.since for each in spans), max(each.until or NOW for each in spans), 30)
    assert timeline.scale(30, NOW) == expected


def test_time_line_of_a_large_run_looks_at_each_step_a_few_times() -> None:
    reads = 0

    class Counting(Step):
        def __getattribute__(self, name: str) -> Any:
            nonlocal reads
            reads += name == "completion_time"
            return super().__getattribute__(name)

    steps = [step(f"s{at}", (f"s{at - 1}",) if at else (), "Succeeded") for at in range(500)]
    counting = [Counting(**{each.name: getattr(one, each.name) for each in fields(one)}) for one in steps]
    Timeline.of(run("a-1", "Succeeded", counting))
    assert reads < 5_000


def test_critical_path_ends_at_the_running_step() -> None:
    assert critical_path(webshop()) == ("clone", "deps", "build-web")


def test_critical_path_ends_at_the_last_completed_step() -> None:
    steps = [
        step("a", (), "Succeeded", started_ago=60, duration=10),
        step("b", (), "Succeeded", started_ago=60, duration=30),
        step("c", ("a", "b"), "Succeeded", started_ago=30, duration=5),
        step("d", ("a",), "Succeeded", started_ago=50, duration=10),
    ]
    assert critical_path(run("a-1", "Succeeded", steps)) == ("b", "c")


@pytest.mark.parametrize("container", ["agent", "upload"])
def test_upload_that_was_stopped_lasts_until_the_end_of_its_step(container: str) -> None:
    attempt = {
        "number": 1,
        "phase": "Cancelled",
        "times": {"created": TIME, "running": TIME, "finished": "2026-01-01T00:00:01.000000Z"},
        "containers": ["step", container],
    }
    stopped = step_json("a", "Cancelled", attempts=[attempt], completionTime="2026-01-01T00:00:05.000000Z")
    found = decode_run(run_json(phase="Cancelled", status={"steps": [stopped], "startTime": TIME}))
    assert build_report(found, NOW).steps[0].parts["uploading"] == 4.0


def test_step_whose_agent_stored_nothing_has_no_upload() -> None:
    end = "2026-01-01T00:00:01.000000Z"
    times = {"created": TIME, "running": TIME, "finished": end}
    attempt = {"number": 1, "phase": "Succeeded", "times": times, "containers": ["agent", "step"]}
    done = step_json("a", "Succeeded", attempts=[attempt], completionTime=end)
    found = decode_run(run_json(phase="Succeeded", status={"steps": [done], "startTime": TIME}))
    assert "uploading" not in build_report(found, NOW).steps[0].parts
