"""The workspace of a step is the working tree, from any folder of the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.live import C8s, write_pipeline
from tests.support.waiting import LONGEST


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, timeout=LONGEST)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with tracked, changed, untracked, ignored, deleted and linked files."""
    root = tmp_path / "project"
    (root / "src" / "deep").mkdir(parents=True)
    (root / ".gitignore").write_text("*.log\n")
    (root / "tracked.txt").write_text("committed\n")
    (root / "gone.txt").write_text("soon deleted\n")
    (root / "src" / "tool.sh").write_text("#!/bin/sh\necho tool ran\n")
    (root / "src" / "tool.sh").chmod(0o755)
    (root / "link").symlink_to("src/tool.sh")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    (root / "tracked.txt").write_text("changed, not committed\n")
    (root / "gone.txt").unlink()
    (root / "untracked file.txt").write_text("new\n")
    (root / "noise.log").write_text("ignored\n")
    commands = ["cat tracked.txt", "ls -A", "./link", "readlink link", "echo commit=$C8S_COMMIT branch=$C8S_BRANCH"]
    write_pipeline(
        root, ['{name: look, image: "busybox:1.36", commands: [' + ", ".join(f'"{c}"' for c in commands) + "]}"]
    )
    return root


@pytest.mark.parametrize("where", [".", "src/deep"])
def test_workspace_holds_the_working_tree(c8s: C8s, project: Path, where: str) -> None:
    out = c8s("run", cwd=project / where).stdout
    said = [line.partition("| ")[2] for line in out.splitlines() if line.startswith("look")]
    said = [text for text in said if not text.startswith(("-- ", "$ "))]
    assert said[0] == "changed, not committed"
    assert set(said[1:]) >= {".c8s.yaml", ".gitignore", "link", "src", "tracked.txt", "untracked file.txt", "tool ran"}
    assert not {"gone.txt", "noise.log", ".git"} & set(said)
    assert "src/tool.sh" in said
    assert any(line.startswith("commit=") and line.split()[0].endswith("-dirty") for line in said)


def test_same_tree_is_uploaded_once(c8s: C8s, project: Path) -> None:
    c8s("run", cwd=project)
    sources = c8s.home / "state" / "c8s" / "default" / "store" / "sources"
    before = sorted(sources.iterdir())
    c8s("run", cwd=project)
    assert sorted(sources.iterdir()) == before


def test_invalid_file_exits_2_and_starts_nothing(fresh: C8s, project: Path) -> None:
    (project / ".c8s.yaml").write_text(
        "version: v1alpha1\nname: x\nsteps:\n  - name: a\n    imag: y\n    commands: [z]\n"
    )
    done = fresh("run", cwd=project, expect=2)
    assert ".c8s.yaml:5:5: error: unknown field `imag`" in done.stderr
    assert "did you mean `image`?" in done.stderr
    assert fresh.processes() == []


def test_path_condition_follows_changed_files(c8s: C8s, project: Path) -> None:
    steps = [
        '{name: notes, image: none, commands: ["echo ran"], conditional: {paths: ["*.txt"]}}',
        '{name: tools, image: none, commands: ["echo ran"], conditional: {paths: ["src/**"]}}',
    ]
    write_pipeline(project, steps)
    run = c8s("run", "--changed-since", "HEAD", cwd=project)
    assert "4 files changed since HEAD" in run.stderr
    assert "notes | ran" in run.stdout
    assert "tools | ran" not in run.stdout
    assert "no changed file matches any of: src/**" in run.stdout
    assert "tools | ran" in c8s("run", cwd=project).stdout, "what changed is not known"
    wrong = c8s("run", "--changed-since", "nosuch", cwd=project, expect=2)
    assert "can't list the changes" in wrong.stderr
