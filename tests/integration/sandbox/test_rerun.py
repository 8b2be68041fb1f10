"""Reruns, resumed runs, caches, and shells in running steps."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live import C8s, parse_step_table

FLOW = """\
version: v1alpha1
name: {name}
steps:
  - name: build
    image: busybox:1.36
    commands: ["mkdir -p dist", "date +%s%N > dist/stamp", "cat dist/stamp"]
    artifacts: ["dist/**"]
  - name: test
    image: busybox:1.36
    dependsOn: [build]
    commands: ["cat dist/stamp"{more}]
  - name: publish
    image: busybox:1.36
    dependsOn: [test]
    commands: ["echo published $(cat dist/stamp)"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository of its own, so that trees of tests are not mixed up."""
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    (tmp_path / "code.txt").write_text("1\n")
    return tmp_path


def steps_of(c8s: C8s, run: str) -> dict[str, dict[str, Any]]:
    shown = json.loads(c8s("runs", run, "-o", "json").stdout)
    return {step["name"]: step for step in shown["status"]["steps"]}


def run_name(output: str) -> str:
    return next(line.split()[1] for line in output.splitlines() if line.startswith("run "))


def test_resumed_run_reuses_succeeded_steps(c8s: C8s, folder: Path) -> None:
    file = folder / ".c8s.yaml"
    file.write_text(FLOW.format(name="mended", more=', "exit 3"'))
    first = c8s("run", cwd=folder, expect=1).stdout
    stamp = c8s("logs", run_name(first), "build").stdout.strip()
    file.write_text(FLOW.format(name="mended", more=""))
    second = c8s("run", "--resume", run_name(first), cwd=folder).stdout
    assert parse_step_table(second) == {"build": "Succeeded", "test": "Succeeded", "publish": "Succeeded"}
    assert f"publish | published {stamp}" in second
    steps = steps_of(c8s, run_name(second))
    assert (steps["build"]["reason"], "attempts" in steps["build"]) == ("Reused", False)
    assert steps["build"]["reused"]["run"] == run_name(first)
    assert steps["test"]["reason"] != "Reused"
    assert c8s("logs", run_name(second), "build").stdout.strip() == stamp, "its log is that of the run that made it"
    assert "dist/stamp" in c8s("artifacts", run_name(second), "build").stdout


def test_changed_tree_reruns_all_steps(c8s: C8s, folder: Path) -> None:
    (folder / ".c8s.yaml").write_text(FLOW.format(name="touched", more=""))
    first = c8s("run", cwd=folder).stdout
    (folder / "code.txt").write_text("2\n")
    second = c8s("run", "--resume", run_name(first), cwd=folder).stdout
    assert {step["reason"] for step in steps_of(c8s, run_name(second)).values()} == {"Succeeded"}


def test_rerun_from_failed_reuses_succeeded_steps(c8s: C8s, folder: Path) -> None:
    flag = folder.parent / f"{folder.name}-flag"
    (folder / ".c8s.yaml").write_text(FLOW.format(name="again", more=f', "test -e {flag}"'))
    first = run_name(c8s("run", cwd=folder, expect=1).stdout)
    flag.write_text("")
    rest = c8s("rerun", first, "--from-failed").stdout
    assert parse_step_table(rest)["publish"] == "Succeeded"
    assert steps_of(c8s, run_name(rest))["build"]["reason"] == "Reused"
    whole = c8s("rerun", first).stdout
    assert {step["reason"] for step in steps_of(c8s, run_name(whole)).values()} == {"Succeeded"}
    assert json.loads(c8s("runs", run_name(whole), "-o", "json").stdout)["rerunOf"] == first


def test_cache_persists_until_its_key_changes(c8s: C8s, folder: Path) -> None:
    (folder / ".c8s.yaml").write_text(
        """\
version: v1alpha1
name: cached
steps:
  - name: build
    image: busybox:1.36
    commands: ["mkdir -p .cache", "test -e .cache/made || date +%s%N > .cache/made", "cat .cache/made"]
    cache: [{key: "made-{{hash code.txt}}", paths: [.cache]}]
"""
    )

    def made() -> str:
        return c8s("logs", run_name(c8s("run", cwd=folder).stdout), "build").stdout.strip()

    first = made()
    assert first.isdigit()
    assert made() == first
    (folder / "code.txt").write_text("2\n")
    assert made() != first


def test_shell_runs_in_a_running_step(c8s: C8s, folder: Path) -> None:
    go = folder.parent / f"{folder.name}-go"
    wait = f', "echo inside > here", "until test -e {go}; do sleep 0.05; done"'
    (folder / ".c8s.yaml").write_text(FLOW.format(name="entered", more=wait))
    with c8s.start("run", cwd=folder) as running:
        try:
            assert running.stdout is not None
            name = ""
            for line in running.stdout:
                name = name or (line.split()[1] if line.startswith("run ") else "")
                if line.startswith("test    | -- started"):
                    break
            script = "until test -e here; do sleep 0.05; done; echo in $C8S_STEP; cat here; cat; exit 7"
            entered = c8s("shell", name, "test", "sh", "-c", script, stdin="typed", expect=7)
            assert entered.stdout.splitlines() == ["in test", "inside", "typed"]
            refused = c8s("shell", name, "build", expect=1)
            assert "build of" in refused.stderr
            assert "succeeded" in refused.stderr
        finally:
            go.write_text("")
        running.stdout.read()
    assert running.returncode == 0
