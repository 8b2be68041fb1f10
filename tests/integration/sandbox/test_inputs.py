"""Inputs of steps, with real runs: which changes make which steps run again, and what --verify-inputs finds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.sandbox.test_rerun import run_name, steps_of
from tests.live import C8s

FLOW = """\
version: v1alpha1
name: {name}
steps:
  - name: build
    image: busybox:1.36
    commands: [cat src/app.txt > built]
    artifacts: [built]
    inputs: ["src/**"]
  - name: docs
    image: busybox:1.36
    commands: [cat docs/index.md]
    inputs: ["docs/**", "!**/*.tmp"]
  - name: test
    image: busybox:1.36
    dependsOn: [build]
    commands: [cat built tests/check.txt]
    inputs: [tests]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    for name in ("src/app.txt", "docs/index.md", "tests/check.txt"):
        file = tmp_path / name
        file.parent.mkdir()
        file.write_text(f"{name} 1\n")
    return tmp_path


def reused(c8s: C8s, run: str) -> set[str]:
    return {name for name, step in steps_of(c8s, run).items() if step["reason"] == "Reused"}


def test_only_steps_whose_files_changed_run_again(c8s: C8s, folder: Path) -> None:
    (folder / ".c8s.yaml").write_text(FLOW.format(name="chosen"))
    first = run_name(c8s("run", cwd=folder).stdout)

    def resumed() -> set[str]:
        return reused(c8s, run_name(c8s("run", "--resume", first, cwd=folder).stdout))

    (folder / "README.md").write_text("new\n")
    (folder / "docs" / "a.tmp").write_text("new\n")
    assert resumed() == {"build", "docs", "test"}
    (folder / "docs" / "index.md").write_text("2\n")
    assert resumed() == {"build", "test"}
    (folder / "tests" / "check.txt").write_text("2\n")
    assert resumed() == {"build"}
    (folder / "src" / "app.txt").chmod(0o755)
    assert resumed() == set()


def test_step_that_needs_an_unlisted_file_fails_by_itself(c8s: C8s, folder: Path) -> None:
    text = FLOW.format(name="verified")
    file = folder / ".c8s.yaml"
    file.write_text(text)
    assert c8s("run", "--verify-inputs", cwd=folder).stdout
    file.write_text(text.replace("cat docs/index.md", "cat docs/index.md src/app.txt"))
    assert "`src/app.txt`, which is not among the step's inputs" in c8s("lint", cwd=folder).stdout
    assert c8s("run", cwd=folder).stdout, "without it the workspace has all files"
    out = c8s("run", "--verify-inputs", cwd=folder, expect=1).stdout
    steps = steps_of(c8s, run_name(out))
    assert {name: step["phase"] for name, step in steps.items()} == {
        "build": "Succeeded",
        "docs": "Failed",
        "test": "Succeeded",
    }
    assert "the workspace had only the step's inputs" in steps["docs"]["message"]


def test_results_come_from_any_earlier_run_of_the_pipeline(c8s: C8s, folder: Path) -> None:
    file, text = folder / ".c8s.yaml", FLOW.format(name="shared")
    file.write_text(text.replace("cat built tests/check.txt", "cat built; exit 3"))
    failed = run_name(c8s("run", cwd=folder, expect=1).stdout)
    file.write_text(text)
    assert reused(c8s, run_name(c8s("run", cwd=folder).stdout)) == set(), "nobody asked for it"
    (folder / "docs" / "index.md").write_text("2\n")
    output = c8s("run", "--reuse", cwd=folder).stdout
    assert reused(c8s, run_name(output)) == {"build", "test"}
    assert "2 of 3 reused" in output
    file.write_text(text.replace("steps:", "reuse: true\nsteps:"))
    inside = run_name(c8s("run", cwd=folder).stdout)
    assert reused(c8s, inside) == {"build", "docs", "test"}
    assert reused(c8s, run_name(c8s("run", "--no-reuse", cwd=folder).stdout)) == set()
    assert {step["reused"]["run"] for step in steps_of(c8s, inside).values()}.isdisjoint({failed})


def test_changed_secret_makes_its_steps_run_again(c8s: C8s, folder: Path) -> None:
    text = FLOW.format(name="hushed").replace("steps:", "reuse: true\nsteps:", 1)
    text = text.replace("    inputs: [tests]", "    inputs: [tests]\n    secrets: [{secretRef: pass, key: word}]")
    (folder / ".c8s.yaml").write_text(text)
    c8s("secrets", "set", "pass", "word", stdin="first-of-them")
    c8s("run", cwd=folder)
    assert reused(c8s, run_name(c8s("run", cwd=folder).stdout)) == {"build", "docs", "test"}
    c8s("secrets", "set", "pass", "word", stdin="second-of-them")
    assert reused(c8s, run_name(c8s("run", cwd=folder).stdout)) == {"build", "docs"}
    c8s("secrets", "set", "pass", "word", stdin="first-of-them")
    assert reused(c8s, run_name(c8s("run", cwd=folder).stdout)) == {"build", "docs", "test"}


def test_why_names_the_inputs_that_differ(c8s: C8s, folder: Path) -> None:
    file, text = folder / ".c8s.yaml", FLOW.format(name="explained")
    file.write_text(text.replace("inputs: [tests]", "inputs: [tests]\n    env: {LEVEL: low, TOKEN: hush-hush}"))
    first = run_name(c8s("run", cwd=folder).stdout)
    assert (
        "no earlier run of the pipeline that is still there has succeeded in docs"
        in c8s("why", first, "docs").stdout.lower()
    )
    (folder / "docs" / "index.md").write_text("2\n")
    (folder / "docs" / "new.md").write_text("1\n")
    file.write_text(text.replace("inputs: [tests]", "inputs: [tests]\n    env: {LEVEL: high}"))
    second = run_name(c8s("run", "--reuse", cwd=folder).stdout)
    assert f"Taken from run {first}" in c8s("why", second, "build").stdout
    docs = c8s("why", second, "docs").stdout
    assert f"inputs differ from those in run {first}" in docs
    assert "files: ~docs/index.md, +docs/new.md" in docs
    test = c8s("why", second, "test").stdout
    assert "environment: ~LEVEL, -TOKEN" in test
    assert "hush" not in test
    third = run_name(c8s("run", cwd=folder).stdout)
    assert "the run was not to reuse anything" in c8s("why", third, "docs").stdout
    document = json.loads(c8s("why", second, "docs", "-o", "json").stdout)
    assert document["differences"][0] == {"kind": "file", "name": "docs/index.md", "change": "~"}
    assert "has no step nothing" in c8s("why", second, "nothing", expect=1).stderr
