"""Steps at their gates: what they find once it is open, and what becomes of one whose gate stays closed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live import C8s, run_name, write_pipeline
from tests.support.waiting import LONGEST, wait_until

IMAGE = 'image: "busybox:1.36"'


def run_status(c8s: C8s, run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(c8s("runs", run, "-o", "json").stdout)["status"]
    return found


def status_of(c8s: C8s, out: str) -> dict[str, Any]:
    return run_status(c8s, run_name(out))


def steps_of(c8s: C8s, run: str) -> list[dict[str, Any]]:
    """The steps of a run that goes on; a pipeline has its steps from the first status on."""
    return list(wait_until(lambda: run_status(c8s, run).get("steps"), what="the steps"))


def wait_for_early_pod(c8s: C8s, run: str) -> None:
    """Wait until the pod of the second step is there, ahead of its time."""
    wait_until(lambda: steps_of(c8s, run)[1]["reason"] == "WaitingAtGate", what="the pod that is made ahead")


@contextmanager
def started_run(c8s: C8s, folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A run that goes on, by its name, and the command that started it."""
    session = c8s.start("run", cwd=folder)
    try:
        assert session.stdout is not None
        yield next(line.split()[1] for line in session.stdout if line.startswith("run ")), session
    finally:
        session.kill()
        session.communicate()


def test_step_whose_source_is_lost_fails_without_beginning(c8s: C8s, tmp_path: Path) -> None:
    lose = f"find '{c8s.home}' -path '*/store/sources/*' -type f -delete"
    second = f"{{name: second, {IMAGE}, commands: [touch {tmp_path}/begun], dependsOn: [lose]}}"
    write_pipeline(tmp_path, [f'{{name: lose, {IMAGE}, commands: ["{lose}"]}}', second], name="gate")
    # Else its pod would have the source before it is lost.
    out = c8s("run", "--prestart", "0", cwd=tmp_path, expect=1).stdout
    step = status_of(c8s, out)["steps"][1]
    assert (step["phase"], step["reason"]) == ("Failed", "FetchFailed")
    assert "is not stored, or no longer" in step["message"]
    assert "running" not in step["attempts"][0]["times"]
    assert "exitCode" not in step["attempts"][0]
    assert not (tmp_path / "begun").exists()
    assert "second | [agent] " in out


def test_service_finds_the_source_when_it_starts(c8s: C8s, tmp_path: Path) -> None:
    (tmp_path / "given.txt").write_text("given\n")
    service = (
        '{name: copy, image: "busybox:1.36", commands: ["cp given.txt copied.txt", "sleep 60"], '
        'ready: {exec: ["test", "-e", "copied.txt"]}}'
    )
    step = f'{{name: use, {IMAGE}, commands: ["grep given copied.txt"], services: [{service}], artifacts: ["*.txt"]}}'
    write_pipeline(tmp_path, [step], name="gate")
    [done] = status_of(c8s, c8s("run", cwd=tmp_path).stdout)["steps"]
    assert done["artifacts"]["files"] == 2


def test_begin_of_a_long_step_is_known_while_it_runs(c8s: C8s, tmp_path: Path) -> None:
    """Its time limit counts from there: a step that waits at its gate has not used up any of it."""
    stubborn = f"{{name: slow, timeout: 1s, {IMAGE}, commands: [sleep 60]}}"
    write_pipeline(tmp_path, [stubborn], name="gate")
    [step] = status_of(c8s, c8s("run", cwd=tmp_path, expect=1).stdout)["steps"]
    assert (step["phase"], step["reason"]) == ("Failed", "Timeout")
    times = step["attempts"][0]["times"]
    assert times["fetching"] <= times["running"] < times["finished"]


def test_step_that_forges_its_end_fails_all_the_same(c8s: C8s, tmp_path: Path) -> None:
    """What follows begins by the step's own word; the record, and the run, follow the cluster's."""
    forge = (
        f"{{name: forge, {IMAGE}, env: {{PIPE: /var/run/c8s-gate/report}}, "
        f'commands: ["echo \'end 0\' 1<>$PIPE", "while [ ! -e {tmp_path}/begun ]; do sleep 0.05; done", exit 5]}}'
    )
    wait = f"while [ ! -e {tmp_path}/known ]; do sleep 0.05; done"
    after = f'{{name: after, {IMAGE}, commands: [touch {tmp_path}/begun, "{wait}"], dependsOn: [forge]}}'
    last = f"{{name: last, {IMAGE}, commands: [exit 0], dependsOn: [forge, after]}}"
    write_pipeline(tmp_path, [forge, after, last], name="gate")
    with started_run(c8s, tmp_path) as (run, session):
        wait_until(lambda: steps_of(c8s, run)[0]["phase"] == "Failed", what="the failure is known")
        (tmp_path / "known").touch()
        session.communicate(timeout=LONGEST)
    status = run_status(c8s, run)
    forged, followed, skipped = status["steps"]
    assert (forged["phase"], forged["reason"], forged["attempts"][0]["reportedExitCode"]) == ("Failed", "ExitCode", 0)
    assert "although its first process reported exit code 0" in forged["message"]
    assert (followed["phase"], skipped["phase"], status["phase"]) == ("Succeeded", "Skipped", "Failed")


def held_run(c8s: C8s, session: subprocess.Popen[str]) -> str:
    """The name of the run, once it says that a step is held."""
    assert session.stdout is not None
    name = ""
    for line in session.stdout:
        name = line.split()[1] if line.startswith("run ") else name
        if "held" in line:
            return name
    raise AssertionError("no step was held")


def test_step_is_held_entered_and_continued(c8s: C8s, tmp_path: Path) -> None:
    (tmp_path / "given.txt").write_text("given\n")
    first = f'{{name: first, {IMAGE}, env: {{LEVEL: high}}, commands: ["cat made.txt", touch done.txt]}}'
    write_pipeline(tmp_path, [first, f"{{name: second, {IMAGE}, commands: [exit 0], dependsOn: [first]}}"], name="gate")
    c8s("up")
    session = c8s.start("run", "--break", "first", cwd=tmp_path)
    try:
        run = held_run(c8s, session)
        wait_for_early_pod(c8s, run)
        step, _ = steps_of(c8s, run)
        assert (step["phase"], step["reason"]) == ("Pending", "Held")
        assert c8s("shell", run, "first", "sh", "-c", "cat given.txt; echo $LEVEL").stdout == "given\nhigh\n"
        assert "is not held where it could accept" in c8s("continue", "--accept", run, "first", expect=1).stderr
        c8s("shell", run, "first", "sh", "-c", "echo made > made.txt")
        c8s("continue", run, "first")
        out, _ = session.communicate(timeout=LONGEST)
    finally:
        session.kill()
    assert (session.returncode, "made" in out) == (0, True)


@pytest.mark.parametrize(("action", "code"), [("--retry", 0), ("--accept", 0), ("", 1)])
def test_failed_step_is_held_and_goes_on_as_wanted(c8s: C8s, tmp_path: Path, action: str, code: int) -> None:
    first = f'{{name: first, {IMAGE}, timeout: 60s, commands: ["test -e mended"]}}'
    after = f"{{name: after, {IMAGE}, commands: [exit 0], dependsOn: [first]}}"
    write_pipeline(tmp_path, [first, after], name="gate")
    c8s("up")
    session = c8s.start("run", "--no-source", "--break", "first:failed", cwd=tmp_path)
    try:
        run = held_run(c8s, session)
        [step, _] = json.loads(c8s("runs", run, "-o", "json").stdout)["status"]["steps"]
        assert (step["phase"], step["reason"], step["attempts"][0]["held"]) == ("Running", "Held", "failed")
        assert "ended with exit code 1" in step["message"]
        c8s("shell", run, "first", "sh", "-c", "touch mended")
        c8s("continue", *([action] if action else []), run, "first")
        out, _ = session.communicate(timeout=LONGEST)
    finally:
        session.kill()
    assert session.returncode == code, out


def test_services_go_on_and_artifacts_wait_while_a_step_is_held(c8s: C8s, tmp_path: Path) -> None:
    (tmp_path / "given.txt").write_text("given\n")
    tick = "while :; do date +%s%N > next; mv next tick; sleep 0.05; done"
    service = f'{{name: clock, {IMAGE}, commands: ["{tick}"], ready: {{exec: ["test", "-e", "tick"]}}}}'
    first = (
        f'{{name: first, {IMAGE}, commands: ["test -e tick", "echo one > made.txt"], artifacts: [made.txt], '
        f"services: [{service}]}}"
    )
    second = f"{{name: second, {IMAGE}, commands: [grep two made.txt], dependsOn: [first]}}"
    write_pipeline(tmp_path, [first, second], name="gate")
    c8s("up")
    session = c8s.start("run", "--break", "first:after", cwd=tmp_path)
    try:
        run = held_run(c8s, session)
        shell = ("shell", run, "first", "sh", "-c")
        ticks = [c8s(*shell, "cat tick").stdout.strip() for _ in range(2)]
        assert int(ticks[0]) < int(ticks[1]), "the service goes on"
        assert json.loads(c8s("artifacts", run, "-o", "json").stdout) == []
        [held, waiting] = json.loads(c8s("runs", run, "-o", "json").stdout)["status"]["steps"]
        assert ("artifacts" in held, waiting["phase"]) == (False, "Pending")
        c8s(*shell, "echo two >> made.txt")
        c8s("continue", run, "first")
        out, _ = session.communicate(timeout=LONGEST)
    finally:
        session.kill()
    assert (session.returncode, "second | two" in out) == (0, True), out
    assert [file["path"] for file in json.loads(c8s("artifacts", run, "-o", "json").stdout)] == ["made.txt"]


def test_held_run_can_be_cancelled(c8s: C8s, tmp_path: Path) -> None:
    write_pipeline(tmp_path, [f"{{name: first, {IMAGE}, commands: [exit 0]}}"], name="gate")
    c8s("up")
    session = c8s.start("run", "--no-source", "--break", "first:after", cwd=tmp_path)
    try:
        run = held_run(c8s, session)
        c8s("cancel", run)
        session.communicate(timeout=LONGEST)
    finally:
        session.kill()
    assert json.loads(c8s("runs", run, "-o", "json").stdout)["status"]["phase"] == "Cancelled"


def test_artifacts_come_to_a_pod_that_was_made_ahead(c8s: C8s, tmp_path: Path) -> None:
    (tmp_path / "given.txt").write_text("given\n")
    wait = f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    first = f'{{name: first, {IMAGE}, commands: ["{wait}", cp given.txt made.txt], artifacts: [made.txt]}}'
    second = f"{{name: second, {IMAGE}, commands: [cmp given.txt made.txt], dependsOn: [first]}}"
    secret = "secrets: [{secretRef: early, key: word}]"
    third = f"{{name: third, {IMAGE}, commands: [test $word = opened-sesame], dependsOn: [first], {secret}}}"
    write_pipeline(tmp_path, [first, second, third], name="gate")
    c8s("up")
    c8s("secrets", "set", "early", "word", stdin="opened-sesame")
    with started_run(c8s, tmp_path) as (run, session):
        wait_for_early_pod(c8s, run)
        (tmp_path / "go").touch()
        session.communicate(timeout=LONGEST)
    assert session.returncode == 0
    early = [step["attempts"][0].get("early", False) for step in steps_of(c8s, run)]
    assert early == [False, True, False], "one that uses a secret is not made ahead"
    steps = status_of(c8s, c8s("run", "--prestart", "0", cwd=tmp_path).stdout)["steps"]
    assert not any(step["attempts"][0].get("early") for step in steps)
    assert "21 is not in the range" in c8s("run", "--prestart", "21", cwd=tmp_path, expect=2).stderr


def test_breakpoint_at_an_unknown_step_is_refused(c8s: C8s, tmp_path: Path) -> None:
    write_pipeline(tmp_path, [f"{{name: first, {IMAGE}, commands: [exit 0]}}"], name="gate")
    for given, why in (("frist", "there is no step frist"), ("first:never", "is not STEP"), (":failed", "is not STEP")):
        assert why in c8s("run", "--no-source", "--break", given, cwd=tmp_path, expect=2).stderr


def test_step_of_a_run_that_goes_on_is_held(c8s: C8s, tmp_path: Path) -> None:
    wait = f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    first = f'{{name: first, {IMAGE}, commands: ["{wait}"]}}'
    after = f"{{name: after, {IMAGE}, commands: [exit 0], dependsOn: [first]}}"
    last = f"{{name: last, {IMAGE}, commands: [exit 0], dependsOn: [after]}}"
    write_pipeline(tmp_path, [first, after, last], name="gate")
    c8s("up")
    session = c8s.start("run", "--no-source", cwd=tmp_path)
    try:
        assert session.stdout is not None
        run = next(line.split()[1] for line in session.stdout if line.startswith("run "))
        assert "there is no step nosuch" in c8s("hold", run, "nosuch", expect=2).stderr
        assert "is held before its commands\n" in c8s("hold", run, "after", "last:failed").stderr
        assert f"last of {run} is not held" in c8s("hold", "--clear", run, "last").stderr
        (tmp_path / "go").touch()
        assert held_run(c8s, session) in ("", run)
        c8s("continue", run, "after")
        session.communicate(timeout=LONGEST)
    finally:
        session.kill()
    found = json.loads(c8s("runs", run, "-o", "json").stdout)
    assert (session.returncode, found["breakpoints"]) == (0, [{"step": "after", "at": "before"}])
    assert "has ended already" in c8s("hold", run, "after", expect=1).stderr
