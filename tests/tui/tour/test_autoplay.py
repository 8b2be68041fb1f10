"""When a tour that plays by itself acts, on a clock of the test."""

from __future__ import annotations

from workbench.tour.hints import Hint, Press
from workbench.tui.tour.autoplay import Autoplay, Turn

HINT = Hint("Press the key.", Press("tests"))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_hint_is_shown_then_its_key_then_it_is_pressed() -> None:
    clock = Clock()
    play = Autoplay(1.0, clock)
    assert (play.look(HINT, 1), play.pressed) == (Turn(), None)
    clock.now += 1.5
    assert (play.look(HINT, 1), play.pressed) == (Turn(), None)
    clock.now += 0.2
    assert (play.look(HINT, 1), play.pressed) == (Turn(), HINT.action)
    clock.now += 0.8
    assert play.look(HINT, 1) == Turn(HINT.action)
    clock.now += 1.0
    assert play.look(HINT, 1) == Turn(), "it is not pressed again at once"
    clock.now += 5.0
    assert play.look(HINT, 1) == Turn(HINT.action)
    assert (play.look(Hint("Wait."), 2), play.pressed) == (Turn(), None)


def test_long_hints_are_shown_longer_and_the_pace_changes_all() -> None:
    clock = Clock()
    for pace, text, seconds in ((1.0, "x" * 200, 4.0), (2.0, "short", 3.2), (0.5, "short", 0.8)):
        play, hint = Autoplay(pace, clock), Hint(text, Press("tests"))
        play.look(hint, 1)
        clock.now += seconds - 0.1
        assert (play.look(hint, 1), play.pressed) == (Turn(), None)
        clock.now += 0.2
        play.look(hint, 1)
        assert play.pressed == hint.action


def test_tour_that_waits_for_nothing_acts_at_the_second_look() -> None:
    play = Autoplay(0.0, Clock())
    assert [play.look(HINT, 1) for _ in range(2)] == [Turn(), Turn(HINT.action)]


def test_tour_gives_up_when_nothing_changes_for_long() -> None:
    clock = Clock()
    play = Autoplay(1.0, clock)
    waiting = Hint("Wait.")
    play.look(waiting, 1)
    clock.now += 60.0
    assert play.look(waiting, 2) == Turn()
    clock.now += 89.0
    assert play.look(waiting, 2) == Turn()
    clock.now += 2.0
    assert play.look(waiting, 2) == Turn(stuck=True)
