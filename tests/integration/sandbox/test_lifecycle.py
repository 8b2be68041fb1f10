"""The lifecycle of a sandbox: start, find, kill and stop."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import C8s, parse_step_table, write_pipeline
from tests.support.waiting import LONGEST, wait_until
from workbench.sandbox.processes import start_time


def state(c8s: C8s, name: str = "default") -> dict[str, object]:
    found: dict[str, object] = json.loads((c8s.home / "state" / "c8s" / name / "sandbox.json").read_text())
    return found


def kill_all(c8s: C8s) -> None:
    """Kill the processes of the sandbox `default`, but not those of its steps."""
    pids = [state(c8s)["pid"], *(child["pid"] for child in state(c8s)["children"].values())]  # type: ignore[attr-defined]
    for pid in pids:
        os.kill(int(str(pid)), signal.SIGKILL)


def test_second_up_finds_the_running_sandbox(fresh: C8s) -> None:
    fresh("up")
    before = state(fresh)
    assert "already running" in fresh("up").stderr
    assert state(fresh) == before
    assert "running" in fresh("status").stdout
    fresh("down")
    assert fresh.processes() == []


def test_restarted_sandbox_keeps_runs_and_ports(fresh: C8s, repository: Path) -> None:
    fresh("up")
    before = state(fresh)
    fresh("run", str(repository / "samples" / "hello.yaml"), "--no-source")
    fresh("down")
    fresh("up")
    assert state(fresh)["api_port"] == before["api_port"]
    runs = json.loads(fresh("runs", "--output", "json").stdout)
    assert [run["name"] for run in runs] == ["hello-1"]
    assert "Goodbye" in fresh("logs", "hello-1", "goodbye").stdout


def test_delete_removes_the_runs(fresh: C8s) -> None:
    fresh("up")
    fresh("down", "--delete")
    assert not (fresh.home / "state" / "c8s" / "default").exists()


def test_two_sandboxes_are_independent(fresh: C8s, repository: Path) -> None:
    fresh("up", "--name", "one")
    fresh("up", "--name", "two")
    fresh("run", str(repository / "samples" / "hello.yaml"), "--no-source", "--name", "one")
    assert json.loads(fresh("runs", "--name", "two", "--output", "json").stdout) == []
    fresh("down", "--name", "one")
    assert "running" in fresh("status", "--name", "two").stdout


def test_sandbox_recovers_when_all_processes_are_killed(fresh: C8s, tmp_path: Path) -> None:
    fresh("up")
    write_pipeline(tmp_path, ['{name: long, image: "busybox:1.36", commands: ["echo begun; sleep 300"]}'])
    running = fresh.start("run", cwd=tmp_path)
    assert running.stdout is not None
    wait_until(lambda: "begun" in (running.stdout.readline() if running.stdout else ""))
    kill_all(fresh)
    running.kill()
    running.wait()
    running.stdout.close()
    fresh("up")

    def attempts() -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(fresh("runs", "mine-1", "--output", "json").stdout)["status"]["steps"][
            0
        ]["attempts"]
        return found

    # The attempt that nobody saw the end of is over, with its reason, and the step is tried again.
    wait_until(lambda: len(attempts()) == 2)
    assert attempts()[0]["reason"] == "Disrupted"
    assert sum(line.split()[1:] == ["sleep", "300"] for line in fresh.processes()) <= 1
    assert "warning: this interrupts 1 run in progress: default/mine-1" in fresh("down").stderr
    assert fresh.processes() == []


@pytest.mark.skipif(sys.platform != "linux", reason="processes of a killed sandbox are found on Linux only")
def test_down_ends_what_a_killed_sandbox_left(fresh: C8s, tmp_path: Path) -> None:
    fresh("up")
    script = "env -i sleep 300 & unnamed=$!; setsid sleep 300 & trap '' TERM HUP; echo $unnamed begun; sleep 300"
    write_pipeline(tmp_path, [json.dumps({"name": "long", "image": "busybox:1.36", "commands": [script]})])
    other = subprocess.Popen(["sleep", "300"], env={"EMBEDDED_CONTAINER": "other-uid/main"})
    running = fresh.start("run", cwd=tmp_path)
    try:
        assert running.stdout is not None
        printed = next(line for line in running.stdout if re.fullmatch(r"long \| \d+ begun\n", line))
        kill_all(fresh)
        # The step and its agent go on.
        assert len(fresh.processes()) > 1
    finally:
        running.kill()
        running.communicate()
    try:
        fresh("down")
        assert fresh.processes() == []
        assert start_time(int(printed.split()[2])) is None
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_run_without_sandbox_starts_a_temporary_one(fresh: C8s, repository: Path) -> None:
    out = fresh("run", str(repository / "samples" / "hello.yaml"), "--no-source").stdout
    assert set(parse_step_table(out).values()) == {"Succeeded"}
    assert fresh.processes() == []


def test_temporary_sandbox_ends_with_a_killed_run(fresh: C8s, tmp_path: Path) -> None:
    write_pipeline(tmp_path, ['{name: long, image: "busybox:1.36", commands: ["echo begun; sleep 300"]}'])
    running = fresh.start("run", cwd=tmp_path)
    assert running.stdout is not None
    wait_until(lambda: "begun" in (running.stdout.readline() if running.stdout else ""))
    running.kill()
    running.wait()
    running.stdout.close()
    wait_until(lambda: fresh.processes() == [])


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_signal_cancels_the_run(fresh: C8s, tmp_path: Path, sign: signal.Signals) -> None:
    fresh("up")
    trapped = "trap 'echo leaving; exit 9' TERM; echo begun; sleep 300 & wait"
    step = f'{{name: long, image: "busybox:1.36", commands: ["{trapped}"]}}'
    write_pipeline(tmp_path, [step, '{name: next, image: "busybox:1.36", dependsOn: [long], commands: ["true"]}'])
    running = fresh.start("run", cwd=tmp_path)
    assert running.stdout is not None
    wait_until(lambda: "begun" in (running.stdout.readline() if running.stdout else ""))
    running.send_signal(sign)
    out, _ = running.communicate(timeout=LONGEST)
    assert running.returncode == 130, out
    assert "cancelling run mine-1" in out
    assert "leaving" in out
    assert parse_step_table(out) == {"long": "Cancelled", "next": "Cancelled"}
    assert json.loads(fresh("runs", "--output", "json").stdout)[0]["status"]["phase"] == "Cancelled"


def test_sandbox_state_is_private(c8s: C8s) -> None:
    root = c8s.home / "state" / "c8s" / "default"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    for path in (root / "credentials").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((root / "kubeconfig").stat().st_mode) == 0o600


@pytest.mark.needs("kubectl")
def test_kubectl_lists_the_runs(c8s: C8s, repository: Path) -> None:
    out = c8s("run", str(repository / "samples" / "hello.yaml"), "--no-source").stdout
    kubeconfig = c8s("kubeconfig").stdout.strip()
    answer = subprocess.run(
        ["kubectl", "--kubeconfig", kubeconfig, "get", "pipelineruns"],
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=True,
    )
    assert answer.stdout.split()[:3] == ["NAME", "PIPELINE", "PHASE"]
    assert any(line.split()[:3] == [out.split()[1], "hello", "Succeeded"] for line in answer.stdout.splitlines())


@pytest.mark.parametrize(
    "arguments", [["run", "hello.yaml", "--no-source"], ["lint", "hello.yaml"], ["logs", "hello-1"]]
)
def test_no_command_for_runs_imports_textual_or_kubernetes(c8s: C8s, repository: Path, arguments: list[str]) -> None:
    c8s("run", str(repository / "samples" / "hello.yaml"), "--no-source")
    arguments = [str(repository / "samples" / word) if word.endswith(".yaml") else word for word in arguments]
    script = (
        "import sys\nfrom workbench.cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print([name for name in ('textual', 'kubernetes') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=c8s.environment(),
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


@pytest.mark.parametrize("name", ["..", "A", "a/b", "x" * 40])
def test_invalid_sandbox_name_exits_2(fresh: C8s, name: str) -> None:
    assert "lower-case" in fresh("up", "--name", name, expect=2).stderr
