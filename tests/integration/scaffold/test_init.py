"""Proposed pipelines succeed on a fresh clone, for the layouts whose tools this machine has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.live import C8s, parse_step_table
from tests.support.project_layouts import LAYOUTS


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.needs(tool) for tool in layout.tools])
        for name, layout in LAYOUTS.items()
        if layout.tools
    ],
)
def test_layout_is_green(c8s: C8s, tmp_path: Path, name: str) -> None:
    origin = LAYOUTS[name].write(tmp_path / "origin")
    c8s("init", cwd=origin)
    author = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", "-C", origin, "add", "-A"], check=True)
    subprocess.run(["git", "-C", origin, *author, "commit", "-qm", "All"], check=True)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", origin, clone], check=True)
    out = c8s("run", cwd=clone).stdout
    assert set(parse_step_table(out).values()) == {"Succeeded"}
