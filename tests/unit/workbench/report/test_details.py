"""The details of a run name who started it and what it is for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.tui.fakes import NOW, run, step
from workbench.client.models import RunEvent
from workbench.report.details import Detail, description, events_of, run_details, step_details


@pytest.mark.parametrize(
    ("created_by", "triggered_by", "text"),
    [
        ("ann", "ann", "ann"),
        ("ann", "cfo@example.org", "ann, says cfo@example.org"),
        (None, "cfo@example.org", "unknown, says cfo@example.org"),
        ("ann", None, "ann"),
    ],
)
def test_claimed_trigger_is_shown_as_claimed(created_by: str | None, triggered_by: str | None, text: str) -> None:
    details = run_details(replace(run("demo-1", "Running", []), created_by=created_by, triggered_by=triggered_by))
    assert next(each.text for each in details if each.name == "by") == text


def test_descriptions_of_pipeline_and_step_are_details() -> None:
    definition = {
        "description": "Tests\nand builds",
        "steps": [{"name": "build", "description": "One combination"}, {"name": "lint"}],
    }
    found = replace(run("demo-1", "Running", [step("build (os=linux)"), step("lint")]), definition=definition)
    assert description(found, None) == (Detail("for", "Tests and builds"),)
    assert description(found, found.steps[0]) == (Detail("for", "One combination"),)
    assert description(found, found.steps[1]) == ()
    assert description(replace(found, definition=None), None) == ()


def _event(about: str, seconds: float | None, message: str) -> RunEvent:
    time = None if seconds is None else NOW + timedelta(seconds=seconds)
    return RunEvent("Normal", "Created", message, 1, time, time, "Pod", about)


def test_events_of_a_step_are_those_of_its_pods_in_the_order_of_their_times() -> None:
    attempt = replace(step("build", (), "Running").attempts[0], job_name="build-1", pod_name="build-1-x")
    build = replace(step("build", (), "Running"), attempts=(attempt,))
    events = [
        _event("build-1-x", 2.5, "third"),
        _event("test-1-x", 0, "of another step"),
        _event("build-1", 1, "first"),
        _event("build-1-x", 1.2, "second"),
    ]
    assert [event.message for event in events_of(events, build)] == ["first", "second", "third"]
    assert [event.message for event in events_of(events, None)] == ["of another step", "first", "second", "third"]


def test_a_reason_that_only_repeats_the_phase_is_left_out() -> None:
    for reason, text in (("Succeeded", "Succeeded"), (None, "Succeeded"), ("Reused", "Succeeded (Reused)")):
        done = replace(step("build", (), "Succeeded"), reason=reason)
        details = step_details(run("demo-1", "Succeeded", [done]), done, NOW)
        assert next(each.text for each in details if each.name == "status") == text
