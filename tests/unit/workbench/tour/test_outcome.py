"""What a tour that plays by itself finds to be different from what it tells."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.workbench.tour.test_story import FAILED, RESUMED
from workbench.tour.outcome import BROKEN_STEP, READS_BOOKS, list_differences
from workbench.tour.story import Seen, SeenRun

SAVED = SeenRun("bookshop-4", 4, "Succeeded", watched=True, reused=("lint",), ran=tuple(sorted(READS_BOOKS)))
GOOD = (SAVED, SeenRun("bookshop-3", 3, "Succeeded", watched=True, reused=("lint",)), RESUMED, FAILED)


def test_tour_that_went_as_told_has_no_differences() -> None:
    assert list_differences(Seen(runs=GOOD)) == ()


def test_each_difference_is_named() -> None:
    assert list_differences(Seen()) == ("no run was created", "no run was resumed", "no run started after a save")
    (first,) = list_differences(Seen(runs=(*GOOD[:-1], replace(FAILED, failed=("website",), failed_tests=0))))
    assert "in bookshop-1, website failed, with 0 failed tests" in first
    (resumed,) = list_differences(Seen(runs=(*GOOD[:2], replace(RESUMED, reused=()), FAILED)))
    assert resumed == f"bookshop-2 is Succeeded, ran lint, {BROKEN_STEP}, and reused nothing"
    (saved,) = list_differences(Seen(runs=(replace(SAVED, ran=("lint", *SAVED.ran)), *GOOD[1:])))
    assert saved.startswith("bookshop-4 is Succeeded, and ran lint, catalogue")
    assert list_differences(Seen(runs=GOOD), ["Tour: the disk is full"]) == ("Tour: the disk is full",)
