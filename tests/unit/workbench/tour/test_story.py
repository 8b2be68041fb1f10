"""The stages of the tour, from what the workbench and the project are like."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.tui.fakes import webshop
from workbench.tour.project import ProjectState
from workbench.tour.story import ORDER, Place, Progress, Seen, SeenRun, Stage, advance

FAILED = SeenRun(
    "bookshop-1", 1, "Failed", failed=("unit (part=prices)",), ran=("lint",), failed_tests=1, has_workspace=True
)
RESUMED = SeenRun("bookshop-2", 2, "Succeeded", reused=("catalogue",), ran=("lint", "unit (part=prices)"))
WATCHED = SeenRun("bookshop-3", 3, "Succeeded", watched=True, reused=("lint", "catalogue"))
SAVED = SeenRun("bookshop-4", 4, "Succeeded", watched=True, reused=("lint",), ran=("catalogue",))
WRONG = ProjectState(digest="wrong", has_mistake=True)
WORSE = ProjectState(digest="worse")
RIGHT = ProjectState(digest="right", as_told=True)
STORY = (
    Seen(),
    Seen(Place.RUN, runs=(replace(FAILED, phase="Running", ended=False, failed=()),), project=WRONG),
    Seen(Place.RUN, runs=(FAILED,), project=WRONG),
    Seen(Place.TESTS, runs=(FAILED,), project=WRONG),
    Seen(Place.RUN, runs=(FAILED,), project=WRONG),
    Seen(Place.RUN, runs=(FAILED,), project=WRONG, shells=1),
    Seen(Place.RUN, runs=(FAILED,), project=RIGHT, shells=1),
    Seen(Place.RUN, runs=(replace(RESUMED, phase="Running", ended=False), FAILED), project=RIGHT, shells=1),
    Seen(Place.RUN, runs=(RESUMED, FAILED), project=RIGHT, shells=1),
    Seen(Place.RUN, runs=(WATCHED, RESUMED, FAILED), project=RIGHT, shells=1, watching=True),
    Seen(Place.RUN, runs=(SAVED, WATCHED, RESUMED, FAILED), project=RIGHT, shells=1, watching=True),
    Seen(Place.RUN, runs=(SAVED, WATCHED, RESUMED, FAILED), project=RIGHT, shells=1, watching=True, explained=1),
)


def play(*seen: Seen) -> list[Stage | None]:
    progress, stages = Progress(), []
    for each in seen:
        progress = advance(progress, each)
        stages.append(progress.stage)
    return stages


def test_story_goes_through_its_stages_in_order() -> None:
    assert play(*STORY) == [Stage.RUNNING, *ORDER]


@pytest.mark.parametrize("last", range(1, len(STORY)))
def test_what_is_there_already_is_not_asked_for(last: int) -> None:
    """A user who knows the way, or one whose screen was not looked at, comes to the same stage."""
    before, direct = play(*STORY[: last + 1])[-1], play(STORY[1], STORY[last])[-1]
    at = STORY[last]
    # Being back from the tests, and that a shell was opened, needs to have been seen.
    asked_anew = {Stage.SHELL, Stage.CORRECT} if at.project is WRONG else set()
    assert direct == before or before in asked_anew


def test_shell_is_not_asked_for_where_the_files_were_not_saved() -> None:
    bare = replace(FAILED, has_workspace=False)
    assert play(*(replace(each, runs=(bare,)) for each in STORY[2:5]))[-1] == Stage.CORRECT


def test_run_that_fails_again_leads_back_to_the_correction() -> None:
    red = replace(FAILED, name="bookshop-2", number=2)
    seen = (
        *STORY[:7],
        Seen(Place.RUN, runs=(replace(red, phase="Running", ended=False), FAILED), project=WORSE, shells=1),
        Seen(Place.RUN, runs=(red, FAILED), project=WORSE, shells=1),
        Seen(Place.RUN, runs=(red, FAILED), project=RIGHT, shells=1),
    )
    assert play(*seen)[-3:] == [Stage.GREEN, Stage.CORRECT, Stage.RESUME]


def test_change_of_something_else_is_no_correction() -> None:
    readme = replace(WRONG, digest="another README")
    assert play(*STORY[:6], replace(STORY[5], project=readme))[-1] == Stage.CORRECT


def test_run_that_fails_though_the_files_are_right_is_resumed() -> None:
    red = replace(FAILED, name="bookshop-2", number=2, failed=("website",))
    assert play(*STORY[:8], Seen(Place.RUN, runs=(red, FAILED), project=RIGHT, shells=1))[-1] == Stage.RESUME


def test_change_while_a_run_is_going_on_is_no_part_of_it() -> None:
    going = replace(FAILED, phase="Running", ended=False)
    seen = (
        Seen(Place.RUN, runs=(going,), project=WRONG),
        Seen(Place.RUN, runs=(going,), project=RIGHT),
        Seen(Place.RUN, runs=(FAILED,), project=RIGHT),
    )
    assert play(*seen)[-1] == Stage.RESUME


def test_cancelled_run_is_resumed_without_a_correction() -> None:
    cancelled = replace(RESUMED, phase="Cancelled")
    assert play(*STORY[:8], Seen(Place.RUN, runs=(cancelled, FAILED), project=RIGHT, shells=1))[-1] == Stage.RESUME
    assert play(Seen(Place.RUN, runs=(replace(FAILED, phase="Cancelled", failed=()),)))[-1] == Stage.RUNNING


def test_save_that_breaks_the_project_while_watching_leads_back_to_the_correction() -> None:
    red = replace(FAILED, name="bookshop-5", number=5, watched=True)
    seen = Seen(Place.RUN, runs=(red, SAVED, WATCHED, RESUMED, FAILED), project=WORSE, shells=1, watching=True)
    progress = Progress()
    for each in (*STORY, seen):
        progress = advance(progress, each)
    assert progress.stage == Stage.CORRECT
    mended = replace(SAVED, name="bookshop-6", number=6)
    progress = advance(progress, replace(seen, runs=(mended, *seen.runs), project=RIGHT))
    assert progress.stage == Stage.END


def test_project_without_a_mistake_begins_with_watching() -> None:
    assert play(Seen(Place.RUN, runs=(replace(RESUMED, number=1),), project=RIGHT)) == [Stage.WATCH]


def test_run_is_described_by_what_became_of_its_steps() -> None:
    seen = SeenRun.of(webshop("Failed"))
    assert (seen.name, seen.phase, seen.ended, seen.failed) == ("webshop-42", "Failed", True, ("unit",))
    assert set(seen.ran) >= {"clone", "unit", "build-web"}
    assert seen.reused == ()
