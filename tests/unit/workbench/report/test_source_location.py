"""Printed paths as files of the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.report.source_location import find_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    for name in ("src/a.py", "services/api/b.py", "workspace/c.py", "b.py"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")
    (tmp_path / "outside.py").write_text("x\n")
    (root / "out.py").symlink_to(tmp_path / "outside.py")
    (root / "inside.py").symlink_to("src/a.py")
    (root / "round.py").symlink_to("round.py")
    return root


@pytest.mark.parametrize(
    ("printed", "working_dir", "name"),
    [
        ("src/a.py", None, "src/a.py"),
        ("./src/a.py", None, "src/a.py"),
        ("/workspace/src/a.py", None, "src/a.py"),
        ("/var/lib/c8s/pods/1/volumes/workspace/src/a.py", None, "src/a.py"),
        ("/workspace/workspace/c.py", None, "workspace/c.py"),
        ("b.py", "services/api", "services/api/b.py"),
        ("src/a.py", "/services/api/", "src/a.py"),
        ("../../src/a.py", "services/api", "src/a.py"),
        ("inside.py", None, "inside.py"),
    ],
)
def test_printed_path_is_found(folder: Path, printed: str, working_dir: str | None, name: str) -> None:
    found = find_source(folder, printed, 3, working_dir)
    assert found is not None
    assert (found.name, found.label) == (name, f"{name}:3")
    assert found.path == (folder / name).resolve()


@pytest.mark.parametrize(
    "printed",
    [
        "/etc/passwd",
        "../outside.py",
        "/workspace/../outside.py",
        "/workspace/../../etc/passwd",
        "out.py",
        "round.py",
        "src",
        "missing.py",
        "",
        "src/a.py\x00",
        "\x1b[31msrc/a.py",
        "a" * 300,
        "a/" * 4000,
        "/workspace",
        "/workspace//src/../..",
    ],
)
def test_other_path_is_refused(folder: Path, printed: str) -> None:
    assert find_source(folder, printed, 3) is None


@pytest.mark.parametrize("line", [0, -1])
def test_line_counts_from_one(folder: Path, line: int) -> None:
    assert find_source(folder, "src/a.py", line) is None
