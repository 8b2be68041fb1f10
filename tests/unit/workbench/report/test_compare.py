"""Comparing the steps and logs of two runs."""

from __future__ import annotations

import pytest

from tests.support.tui.fakes import NOW, run, step
from workbench.report.compare import (
    Difference,
    LineReader,
    cut_to_difference,
    first_difference,
    normalize_line,
    pair_steps,
)


def _log(*lines: str) -> LineReader:
    return lambda at, count: list(lines[at : at + count])


def test_steps_are_paired_by_name() -> None:
    left = run("a-1", "Failed", [step("build", (), "Succeeded", duration=2), step("old", (), "Succeeded")])
    right = run("a-2", "Failed", [step("build", (), "Failed", duration=5), step("new", (), "Succeeded")])
    pairs = {pair.name: pair for pair in pair_steps(left, right, NOW)}
    assert list(pairs) == ["build", "new", "old"]
    assert pairs["build"].differs
    assert pairs["build"].slower_by == pytest.approx(3)
    assert pairs["new"].left is None
    assert pairs["old"].right is None


def test_first_difference_is_found_across_chunks() -> None:
    same = [f"line {n}" for n in range(10)]
    found = first_difference(_log(*same, "left"), _log(*same, "right"), chunk_size=3)
    assert found == Difference(11, "left", "right")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("12:00:01 done", "12:00:09 done"),
        ("took 1.2s", "took 33 s"),
        ("at 0xffe1", "at 0xaa"),
        ("2026-01-01T00:00:00.1Z x", "2026-02-01T10:00:00Z x"),
        ("same  ", "same"),
    ],
)
def test_volatile_text_is_no_difference(left: str, right: str) -> None:
    assert normalize_line(left) == normalize_line(right)
    assert first_difference(_log(left), _log(right)) is None


def test_shorter_log_differs_at_its_end() -> None:
    assert first_difference(_log("a"), _log("a", "b"), chunk_size=1) == Difference(2, None, "b")
    assert first_difference(_log("a", "b", "c"), _log("a", "b"), chunk_size=2) == Difference(3, "c", None)
    assert first_difference(_log(), _log()) is None


def test_lines_that_differ_at_their_end_are_cut_to_it() -> None:
    left, right = f"{'a' * 70} ... ok", f"{'a' * 70} ... FAIL"
    assert cut_to_difference(left, right, 100) == (left, right)
    assert cut_to_difference(left, right, 60) == ("…aaaaaaa ... ok", "…aaaaaaa ... FAIL")
    assert cut_to_difference("x" * 90, "y" * 90, 60) == ("x" * 90, "y" * 90), "what differs is at the beginning"
    assert cut_to_difference("abc", "abd", 4) == ("…abc", "…abd")
