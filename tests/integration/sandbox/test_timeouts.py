"""Runs and steps that take too long, from the command line to the API."""

from __future__ import annotations

import json
from pathlib import Path

from tests.live import C8s, write_pipeline

STUBBORN = 'image: "busybox:1.36", commands: ["trap \'exit 0\' TERM; sleep 60 & wait"]'


def test_late_run_fails_and_cancels_its_steps(c8s: C8s, tmp_path: Path) -> None:
    """The step ends with exit code 0 when it is stopped, and its failure is allowed."""
    after = '{name: after, image: "busybox:1.36", commands: [exit 0], dependsOn: [slow], conditional: {when: always}}'
    path = write_pipeline(tmp_path, [f"{{name: slow, allowFailure: true, {STUBBORN}}}", after], name="late")
    path.write_text(path.read_text() + "timeout: 1s\n")
    out = c8s("run", "--no-source", cwd=tmp_path, expect=1).stdout
    run = next(line.split()[1] for line in out.splitlines() if line.startswith("run "))
    assert "the run took too long; 2 steps were stopped or did not begin" in out.splitlines()
    status = json.loads(c8s("runs", run, "-o", "json").stdout)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Timeout")
    assert {(step["phase"], step["reason"]) for step in status["steps"]} == {("Cancelled", "Timeout")}
    assert not status["steps"][1].get("attempts")


def test_late_step_fails_and_its_dependents_are_skipped(c8s: C8s, tmp_path: Path) -> None:
    after = '{name: after, image: "busybox:1.36", commands: [exit 0], dependsOn: [slow]}'
    write_pipeline(tmp_path, [f"{{name: slow, timeout: 1s, {STUBBORN}}}", after], name="late")
    out = c8s("run", "--no-source", cwd=tmp_path, expect=1).stdout
    run = next(line.split()[1] for line in out.splitlines() if line.startswith("run "))
    status = json.loads(c8s("runs", run, "-o", "json").stdout)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "StepFailed")
    verdicts = [(step["phase"], step["reason"]) for step in status["steps"]]
    assert verdicts == [("Failed", "Timeout"), ("Skipped", "DependencyFailed")]
