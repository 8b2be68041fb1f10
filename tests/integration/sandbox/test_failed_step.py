"""Debug runs of failed steps with a saved workspace, which leave nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live import C8s, write_pipeline
from tests.support.waiting import LONGEST, wait_until

pytestmark = pytest.mark.needs("kubectl")

SECRET = "correct horse battery staple"
FAILS = (
    '{name: test, image: "busybox:1.36", env: {LEVEL: "{{params.level}}"}, workingDir: sub, '
    "secrets: [{secretRef: vault, key: word}, {secretRef: vault, key: word, file: word}], "
    'commands: ["echo $MATRIX_PY > left.txt; chmod 750 left.txt", "mkdir ../empty; ln -s /etc/hostname link", exit 7], '
    "matrix: {dimensions: {py: [3.11]}}}"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "tree.txt").write_text("from the tree")
    path = write_pipeline(tmp_path, [FAILS], name="kept")
    path.write_text(path.read_text() + "params: [{name: level, default: info}]\n")
    return tmp_path


def run_name(out: str) -> str:
    return next(line.split()[1] for line in out.splitlines() if line.startswith("run "))


def failed_run(c8s: C8s, folder: Path, *options: str) -> str:
    c8s("secrets", "set", "vault", "word", stdin=SECRET)
    return run_name(c8s("run", *options, cwd=folder, expect=1).stdout)


def step_of(c8s: C8s, run: str) -> dict[str, Any]:
    step: dict[str, Any] = json.loads(c8s("runs", run, "-o", "json").stdout)["status"]["steps"][0]
    return step


def left_behind(c8s: C8s) -> str:
    """What there is of copies: runs, Jobs and pods."""
    output = c8s("kubeconfig").stdout.strip()
    done = subprocess.run(
        ["kubectl", "--kubeconfig", output, "get", "pipelineruns,jobs,pods", "-A", "-o", "wide"],
        capture_output=True, text=True, timeout=LONGEST, check=True,
    )  # fmt: skip
    return "\n".join(line for line in done.stdout.splitlines() if "debug" in line)


def assert_nothing_stays(c8s: C8s) -> None:
    with contextlib.suppress(AssertionError):
        wait_until(lambda: left_behind(c8s) == "")
    assert left_behind(c8s) == ""


def test_debug_command_has_files_and_environment_of_the_step(c8s: C8s, folder: Path) -> None:
    run = failed_run(c8s, folder, "--keep-on-failure", "--param", "level=debug")
    kept = step_of(c8s, run)["attempts"][0]["kept"]
    assert (kept["files"], "problem" in kept) == (4, False)
    script = (
        "cat left.txt tree.txt; ls -d ../empty; readlink link; stat -c %a left.txt; basename $PWD; "
        'echo "$LEVEL,$MATRIX_PY,$C8S_RUN,$C8S_ATTEMPT,$C8S_STEP"; test "$word" = "$(cat "$C8S_SECRETS/word")" && '
        "echo same; cat; exit 5"
    )
    done = c8s("shell", run, "test (py=3.11)", "sh", "-c", script, stdin="typed", expect=5)
    assert done.stdout.splitlines() == [
        "3.11", "from the tree../empty", "/etc/hostname", "750", "sub",
        f"debug,3.11,{run},1,test (py=3.11)", "same", "typed",
    ]  # fmt: skip
    assert f"starting a copy of step test (py=3.11) of {run} with the workspace of attempt 1" in done.stderr
    assert_nothing_stays(c8s)
    logs = "".join(c8s("logs", run, "test (py=3.11)", "--container", name).stdout for name in ("step", "agent"))
    assert SECRET not in logs
    assert "saved the workspace: 4 files" in logs


@pytest.mark.parametrize("hangs_up", [True, False], ids=["with a signal", "without one"])
def test_debug_run_is_unlisted_and_ends_with_its_terminal(c8s: C8s, folder: Path, hangs_up: bool) -> None:
    run = failed_run(c8s, folder, "--keep-on-failure")
    ours, theirs = pty.openpty()
    entered = subprocess.Popen(
        c8s.command("shell", run, "test (py=3.11)"),
        cwd=c8s.home, env=c8s.environment(), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        # What is typed before the shell is there is thrown away.
        _read_until(ours, b"the copy is then deleted\r\n", more=True)
        os.write(ours, b"echo in-$((40+2))\r")
        _read_until(ours, b"in-42")
        assert "debug" not in c8s("runs").stdout
        assert "kept-debug-" in c8s("runs", "--copies").stdout
        os.close(ours)
        if hangs_up:
            entered.send_signal(signal.SIGHUP)
        entered.wait(LONGEST)
    finally:
        entered.kill()
        entered.wait(LONGEST)
    assert_nothing_stays(c8s)


def _read_until(terminal: int, wanted: bytes, *, more: bool = False, within: float = LONGEST) -> None:
    """Until this was shown on the terminal, and with `more` something after it."""
    seen = b""
    while wanted not in seen or (more and seen.endswith(wanted)):
        ready, _, _ = select.select([terminal], [], [], within)
        assert ready, f"nothing more is shown after {seen!r}"
        seen += os.read(terminal, 4096)


def test_unsaved_workspace_error_names_the_command(c8s: C8s, folder: Path) -> None:
    run = failed_run(c8s, folder)
    output = c8s("shell", run, "test (py=3.11)", "true", expect=1).stderr
    assert f"c8s rerun {run} --from-failed --keep-on-failure" in output
    again = run_name(c8s("rerun", run, "--from-failed", "--keep-on-failure", expect=1).stdout)
    assert c8s("shell", again, "test (py=3.11)", "cat", "left.txt").stdout == "3.11\n"


def test_debug_run_that_cannot_start_is_deleted(c8s: C8s, folder: Path) -> None:
    run = failed_run(c8s, folder, "--keep-on-failure")
    kubectl = ["kubectl", "--kubeconfig", c8s("kubeconfig").stdout.strip()]
    # With a scope, which the admission webhook leaves out: whether it is for a pod is known once there is one.
    quota = ["create", "quota", "none", "--hard=pods=0", "--scopes=Terminating"]
    subprocess.run([*kubectl, *quota], check=True, timeout=LONGEST)
    try:
        output = c8s("shell", run, "test (py=3.11)", "true", expect=1).stderr
    finally:
        subprocess.run([*kubectl, "delete", "quota", "none"], check=True, timeout=LONGEST)
    assert "could not start" in output
    assert "quota none" in output
    assert_nothing_stays(c8s)


def test_debug_run_that_can_never_start_is_refused_at_once(c8s: C8s, folder: Path) -> None:
    run = failed_run(c8s, folder, "--keep-on-failure")
    kubectl = ["kubectl", "--kubeconfig", c8s("kubeconfig").stdout.strip()]
    subprocess.run([*kubectl, "create", "quota", "never", "--hard=pods=0"], check=True, timeout=LONGEST)
    try:
        output = c8s("shell", run, "test (py=3.11)", "true", expect=1).stderr
    finally:
        subprocess.run([*kubectl, "delete", "quota", "never"], check=True, timeout=LONGEST)
    assert "can't start a copy of step test" in output
    assert "the quota never has pods 0: no step can ever run in the namespace" in output
    assert_nothing_stays(c8s)
