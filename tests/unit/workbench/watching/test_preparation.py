"""What is said to have changed since the last run."""

from pathlib import Path

import pytest

from workbench.submit.archive import SourceArchive
from workbench.watching.preparation import changed_names


def archive(**manifest: str) -> SourceArchive:
    return SourceArchive(Path("gone"), "sha256:1", 1, 1, "sha256:2", ".c8s.yaml", (), manifest)


@pytest.mark.parametrize(
    ("touched", "changed"),
    [
        ({".", "b", "a"}, ["a", "b"]),
        ({"a", "same", "temporary"}, ["a"]),
        ({"deleted", "new"}, ["deleted", "new"]),
        ({".c8s.yaml", "same"}, [".c8s.yaml"]),
        ({"."}, []),
    ],
)
def test_files_are_named_that_differ_between_two_archives(touched: set[str], changed: list[str]) -> None:
    old, new = archive(a="1", b="1", same="1", deleted="1"), archive(a="2", b="2", same="1", new="1")
    assert changed_names(frozenset(touched), old, new) == changed


def test_without_an_earlier_archive_all_that_was_touched_is_named() -> None:
    assert changed_names(frozenset({"a", "."}), None, archive(a="1")) == ["a"]
