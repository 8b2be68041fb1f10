"""Reminders come when they are due, and once."""

from __future__ import annotations

from embedded.controllers.delay_queue import Key, Timers


def test_the_earlier_of_two_reminders_for_one_look_is_the_one_that_comes() -> None:
    now = [0.0]
    timers, looked = Timers(lambda: now[0]), list[Key]()
    timers.add(looked.append, ("ns", "a"), 5)
    timers.add(looked.append, ("ns", "b"), 3)
    timers.add(looked.append, ("ns", "a"), 2)
    timers.add(looked.append, ("ns", "a"), 9)
    assert timers.wait() == 2
    now[0] = 2
    assert [key for _, key in timers.due()] == [("ns", "a")]
    now[0] = 9
    assert [key for _, key in timers.due()] == [("ns", "b")]
    assert timers.wait() is None


def test_a_look_can_be_asked_for_again_once_it_came() -> None:
    timers, looked = Timers(lambda: 1.0), list[Key]()
    timers.add(looked.append, ("", "a"), 0)
    assert len(timers.due()) == 1
    timers.add(looked.append, ("", "a"), 0)
    assert len(timers.due()) == 1
