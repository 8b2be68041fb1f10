"""Artifacts of several steps that store the same path."""

from __future__ import annotations

from controller.agent.transfer.fetch import Overlaps


def overlaps(*files: tuple[str, str, str]) -> list[str]:
    found = Overlaps()
    for slug, path, fingerprint in files:
        found.recorder(slug)(path, fingerprint)
    return found.take_warnings()


def test_different_contents_of_two_steps_are_reported() -> None:
    assert overlaps(("a", "dist/same", "1"), ("b", "dist/same", "2")) == [
        "warning: dist/same of b replaces the one of a, which differs"
    ]


def test_same_content_is_not_reported() -> None:
    assert overlaps(("a", "x", "1"), ("b", "x", "1"), ("b", "y", "2")) == []


def test_same_path_twice_in_one_step_is_not_reported() -> None:
    assert overlaps(("a", "x", "1"), ("a", "x", "2")) == []


def test_many_overlaps_are_counted() -> None:
    files = [(slug, f"f{number}", slug) for slug in ("a", "b") for number in range(9)]
    lines = overlaps(*files)
    assert len(lines) == 6
    assert lines[-1] == "warning: 4 more files of b replace earlier ones"


def test_warnings_are_taken_once() -> None:
    found = Overlaps()
    for slug in ("a", "b"):
        found.recorder(slug)("x", slug)
    assert len(found.take_warnings()) == 1
    assert found.take_warnings() == []
