"""Globs of branches, tags and paths."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.pipeline.conditions import match_ref

_quick = settings(max_examples=200, deadline=None)


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("main", ["main"], ["mains", "Main", ""]),
        ("*", ["main", "feature/x", ""], []),
        ("feature/*", ["feature/x"], ["feature/x/y", "feature"]),
        ("feature/**", ["feature/x", "feature/x/y"], ["feature"]),
        ("src/**/*.py", ["src/a.py", "src/x/y/a.py"], ["src/a.pyc", "a.py"]),
        ("**/*.md", ["README.md", "docs/a.md"], ["docs/a.txt"]),
        ("v[0-9].?", ["v1.2"], ["v1.10", "vx.1"]),
        ("v[!0-9]", ["vx"], ["v1"]),
        ("[z-a]", ["[z-a]"], ["z"]),
    ],
)
def test_glob_matches(glob: str, matching: list[str], other: list[str]) -> None:
    assert [text for text in matching if not match_ref(glob, text)] == []
    assert [text for text in other if match_ref(glob, text)] == []


@_quick
@given(
    st.lists(st.sampled_from(["a", "b", "/", "*", "**", "**/", "?"]), max_size=7),
    st.text(st.sampled_from("ab/"), max_size=8),
)
def test_globs_agree_with_regular_expressions(parts: list[str], text: str) -> None:
    glob = "".join(parts)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pattern = re.sub(r"\*\*/|\*\*|\*|\?", lambda found: words[found.group()], glob)
    assert match_ref(glob, text) == (glob == "*" or re.fullmatch(pattern, text) is not None)


@pytest.mark.timeout(10)
def test_pathological_glob_takes_bounded_time() -> None:
    assert not match_ref("*a" * 127, "a" * 254 + "b")
