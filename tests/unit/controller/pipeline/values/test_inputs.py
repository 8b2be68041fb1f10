"""Inputs of steps: which files globs select, the same in the controller and in the agent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.agent.transfer.inputs import input_selector
from controller.pipeline.values.inputs import select_inputs

TREE = sorted(
    ("README.md", "docs/a.md", "pyproject.toml", "src/a.py", "src/b/c.py", "src/b/notes.md", "srcs/x.py", "tests/t.py")
)


@pytest.mark.parametrize(
    ("globs", "selected"),
    [
        (["src/**"], ["src/a.py", "src/b/c.py", "src/b/notes.md"]),
        (["src"], ["src/a.py", "src/b/c.py", "src/b/notes.md"]),
        (["./src/"], ["src/a.py", "src/b/c.py", "src/b/notes.md"]),
        (["src/*"], ["src/a.py", "src/b/c.py", "src/b/notes.md"]),
        (["src/*.py"], ["src/a.py"]),
        (["**/*.py", "!tests/**"], ["src/a.py", "src/b/c.py", "srcs/x.py"]),
        (["src/**", "!src/b", "src/b/c.py"], ["src/a.py", "src/b/c.py"]),
        (["!src*"], ["README.md", "docs/a.md", "pyproject.toml", "tests/t.py"]),
        (["pyproject.toml", "missing.txt"], ["pyproject.toml"]),
        (["**"], TREE),
        ([], []),
    ],
)
def test_last_glob_that_matches_decides(globs: list[str], selected: list[str]) -> None:
    assert sorted(select_inputs(globs, TREE)) == selected
    chosen = input_selector(globs)
    assert [path for path in TREE if chosen(path)] == selected


def test_check_can_end_a_selection() -> None:
    def stop() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        select_inputs(["*.py"], ["a.py"], stop)


_GLOBS = st.lists(st.text("ab.*?[]!-/", min_size=1, max_size=8), max_size=4)
_PATHS = st.lists(st.text("ab.-]", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)


@given(globs=_GLOBS, paths=st.lists(_PATHS, max_size=6))
def test_agent_selects_the_same_files(globs: list[str], paths: list[str]) -> None:
    chosen = input_selector(globs)
    assert {path for path in paths if chosen(path)} == select_inputs(globs, sorted(set(paths)))
