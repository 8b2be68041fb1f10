"""The details of a run name who started it and what it is for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.tui.fakes import run, step
from workbench.report.details import Detail, description, run_details


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
