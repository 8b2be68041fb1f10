"""Log lines and status changes are merged into one sequence."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.workbench.client.fake_api import run_json, step_json
from workbench.client.decode import decode_run
from workbench.client.models import CommandStarted, LinePart, Lines, LogLine, Missed, Run, RunEnd, StreamEnd, StreamKey
from workbench.logs.run_log import Line, LogItem, RunLog, StepTransition


def _run(*steps: dict[str, Any], phase: str = "Running") -> Run:
    return decode_run(run_json(phase=phase, status={"steps": list(steps)}))


def _lines(*texts: str, container: str = "step") -> Lines:
    return Lines(StreamKey("build", 1, container), 1, tuple(LogLine(None, text) for text in texts))


def _said(shown: list[LogItem]) -> list[str]:
    return [item.text if isinstance(item, Line) else f"<{item.kind} {item.phase}>" for item in shown]


def test_end_of_a_step_follows_its_last_line() -> None:
    log = RunLog()
    assert _said(log.status(_run(step_json("build", "Running")))) == ["<started Running>"]
    assert _said(log.status(_run(step_json("build", "Succeeded")))) == []
    assert _said(log.frame(_lines("last"))) == ["last"]
    assert _said(log.frame(StreamEnd(StreamKey("build", 1, "step"), 1))) == ["<ended Succeeded>"]
    assert _said(log.status(_run(step_json("build", "Succeeded")))) == []


def test_unfinished_line_is_the_newest_one_that_is_shown() -> None:
    log, agent = RunLog(), StreamKey("build", 1, "agent")
    assert _said(log.frame(LinePart(StreamKey("build", 1, "step"), 1, LogLine(None, "50%")))) == ["<started Running>"]
    assert log.unfinished == Line("build", 1, None, "50%", None)
    assert log.frame(LinePart(agent, 1, LogLine(None, "fetching"))) == []
    assert log.unfinished is not None
    assert log.unfinished.text == "50%", "lines of the agent are held back"
    log.frame(_lines("of the agent", container="agent"))
    assert log.unfinished is not None
    log.frame(_lines("100%"))
    assert log.unfinished is None


def test_commands_come_before_the_first_line_of_their_output() -> None:
    log, key = RunLog(), StreamKey("build", 1, "step")
    assert _said(log.frame(CommandStarted(key, 0, 1, None, "make"))) == ["<started Running>", "<command >"]
    assert _said(log.frame(CommandStarted(key, 1, 3, None, "make test"))) == []
    assert _said(log.frame(CommandStarted(key, 2, 3, None, "ls"))) == []
    assert _said(log.frame(_lines("one"))) == ["one"]
    rest = Lines(key, 2, (LogLine(None, "two"), LogLine(None, "three")))
    assert _said(log.frame(rest)) == ["two", "<command >", "<command >", "three"]
    assert _said(log.frame(CommandStarted(key, 3, 4, None, "sleep"))) == ["<command >"]


def test_a_step_that_never_ran_ends_at_once() -> None:
    assert _said(RunLog().status(_run(step_json("build", "Skipped")))) == ["<ended Skipped>"]


def test_a_step_that_waits_for_the_cluster_says_for_what_whenever_that_changes() -> None:
    log = RunLog()
    for message, expected in (("for the queue a", 1), ("for the queue a", 0), ("for checks", 1)):
        status = _run(step_json("build", "Pending", reason="WaitingForAdmission", message=message))
        shown = [item for item in log.status(status) if isinstance(item, StepTransition)]
        assert [(item.kind, item.text) for item in shown] == [("waiting", message)] * expected
    assert _said(log.status(_run(step_json("build", "Pending", reason="Created", message="its Job is created")))) == []
    assert _said(log.status(_run(step_json("build", "Running")))) == ["<started Running>"]


def test_pending_ends_are_flushed_with_the_run_end() -> None:
    log = RunLog()
    log.status(_run(step_json("build", "Failed")))
    assert _said(log.frame(RunEnd())) == ["<ended Failed>"]
    assert log.flush() == []


@pytest.mark.parametrize("container", ["agent", "upload"])
def test_failed_upload_log_is_shown(container: str) -> None:
    failed = step_json("build", "Failed")
    failed["attempts"][0] |= {"reason": "ArtifactUploadFailed", "containers": ["step", container]}
    log = RunLog()
    assert log.frame(_lines("no space left", container=container)) == []
    assert _said(log.status(_run(failed))) == ["no space left"]
    late = Lines(StreamKey("build", 1, container), 2, (LogLine(None, "giving up"),))
    assert _said(log.frame(late)) == ["giving up"]


def test_a_second_attempt_is_announced() -> None:
    again = step_json("build", "Running")
    again["attempts"].append({**again["attempts"][0], "number": 2, "phase": "Running"})
    shown = RunLog().status(_run(again))
    assert [item.text for item in shown if isinstance(item, StepTransition)] == ["attempt 2", "started"]


def test_missed_lines_are_announced() -> None:
    (note,) = RunLog().frame(Missed(StreamKey("build", 1, "step"), 5, 900))
    assert "lines 5 to 900" in note.text


def test_early_line_follows_the_start_event() -> None:
    log = RunLog()
    assert _said(log.frame(_lines("first"))) == ["<started Running>", "first"]
    assert _said(log.status(_run(step_json("build", "Running")))) == []


def test_held_back_line_does_not_start_the_step() -> None:
    assert _said(RunLog().frame(_lines("cloning", container="fetch"))) == []
