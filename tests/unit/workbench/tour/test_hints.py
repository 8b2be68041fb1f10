"""What the tour says: short, and about what can be done where the user is."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from itertools import product

import pytest

from tests.unit.workbench.tour.test_story import FAILED, STORY
from workbench.tour.hints import KEYS, AddBook, Correct, Finish, OpenRun, Press, choose_hint
from workbench.tour.project import ProjectState
from workbench.tour.story import Place, Progress, Seen, Stage, advance


def states() -> list[tuple[Progress, Seen]]:
    """All moments of the story, seen from each place."""
    found, progress = [], Progress()
    for seen in STORY:
        progress = advance(progress, seen)
        elsewhere = (replace(seen, place=place) for place in Place if progress.stage is not Stage.TESTS)
        found += [(progress, each) for each in (seen, *elsewhere)]
    return found


@pytest.mark.parametrize(("width", "rows"), [(76, 2), (56, 3)])
def test_every_hint_is_short_enough_to_be_read_at_a_glance(width: int, rows: int) -> None:
    keys = {name: label for name, (_, label) in KEYS.items()}
    for progress, seen in states():
        hint = choose_hint(progress, seen)
        if hint is not None:
            shown = textwrap.wrap(hint.text.format_map(keys).replace("`", ""), width)
            assert len(shown) <= rows, shown


def test_every_key_of_a_hint_exists() -> None:
    from workbench.tui.keybindings import bound_actions

    known = {action.id for action in bound_actions()}
    assert {action for action, _ in KEYS.values()} <= known


def test_each_stage_offers_what_it_asks_for() -> None:
    progress, offered = Progress(), {}
    for seen in STORY:
        progress = advance(progress, seen)
        assert progress.stage is not None
        seen = replace(seen, shown_run=_shown(progress.stage, seen), shown_step="unit (part=prices)")
        hint = choose_hint(progress, seen)
        assert hint is not None
        offered[progress.stage] = hint.action
    assert offered == {
        Stage.RUNNING: None,
        Stage.FAILURE: Press("tests"),
        Stage.TESTS: Press("back"),
        Stage.SHELL: Press("shell"),
        Stage.CORRECT: Correct(),
        Stage.RESUME: Press("resume"),
        Stage.GREEN: None,
        Stage.WATCH: Press("watch"),
        Stage.SAVE: AddBook(),
        Stage.WHY: Press("why"),
        Stage.END: Finish(),
    }


def _shown(stage: Stage, seen: Seen) -> str | None:
    if stage in (Stage.FAILURE, Stage.TESTS, Stage.SHELL, Stage.RESUME):
        return "bookshop-1"
    return seen.newest.name if seen.newest is not None else None


def test_user_who_is_elsewhere_is_led_back() -> None:
    progress = advance(Progress(), STORY[2])
    for place in (Place.RUNS, Place.EDITOR, Place.OTHER):
        hint = choose_hint(progress, replace(STORY[2], place=place))
        assert hint is not None
        assert hint.action == OpenRun("bookshop-1", "unit (part=prices)")
    hint = choose_hint(progress, replace(STORY[2], shown_run="another-1"))
    assert hint is not None
    assert hint.action == OpenRun("bookshop-1", "unit (part=prices)")


def test_shell_is_offered_for_the_step_that_failed() -> None:
    progress = advance(advance(advance(Progress(), STORY[2]), STORY[3]), STORY[4])
    assert progress.stage == Stage.SHELL
    seen = replace(STORY[4], shown_run="bookshop-1")
    for step, action in (("lint", OpenRun("bookshop-1", "unit (part=prices)")), ("unit (part=prices)", Press("shell"))):
        hint = choose_hint(progress, replace(seen, shown_step=step))
        assert hint is not None
        assert hint.action == action


def test_dialogs_are_left_alone_and_the_question_before_a_run_is_explained() -> None:
    for progress, seen in states():
        assert choose_hint(progress, replace(seen, place=Place.DIALOG)) is None
        hint = choose_hint(progress, replace(seen, place=Place.QUESTION))
        assert hint is not None
        assert hint.action == Press("start")


@pytest.mark.parametrize(
    ("change", "said"), [({"project": ProjectState(exists=False)}, "is gone"), ({"connected": False}, "does not")]
)
def test_what_stops_the_tour_is_said_at_every_stage(change: dict[str, object], said: str) -> None:
    for progress, seen in states():
        hint = choose_hint(progress, replace(seen, **change))  # type: ignore[arg-type]
        assert hint is None or said in hint.text


def test_names_of_runs_and_steps_are_no_markup() -> None:
    hostile = replace(FAILED, failed=("{quit} `rm` \x1b[31m",))
    seen = replace(STORY[2], runs=(hostile,), shown_run="bookshop-1")
    hint = choose_hint(advance(Progress(), seen), seen)
    assert hint is not None
    text = hint.text.format_map({name: label for name, (_, label) in KEYS.items()})
    assert "{quit} 'rm'" in text
    assert "\x1b" not in text


def test_runs_that_were_deleted_do_not_confuse_the_story() -> None:
    for (progress, _), place in product(states(), Place):
        choose_hint(progress, Seen(place))
        choose_hint(progress, Seen(place, runs=(replace(FAILED, failed=()),)))
