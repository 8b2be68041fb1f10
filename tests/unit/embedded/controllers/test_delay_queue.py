"""Reminders come when they are due, and once."""

from __future__ import annotations

from embedded.controllers.delay_queue import DelayQueue, Key


def test_the_earlier_of_two_reminders_for_one_look_is_the_one_that_comes() -> None:
    now = [0.0]
    timers, looked = DelayQueue(lambda: now[0]), list[Key]()
    timers.add_after(looked.append, ("ns", "a"), 5)
    timers.add_after(looked.append, ("ns", "b"), 3)
    timers.add_after(looked.append, ("ns", "a"), 2)
    timers.add_after(looked.append, ("ns", "a"), 9)
    assert timers.next_delay() == 2
    now[0] = 2
    assert [key for _, key in timers.pop_due()] == [("ns", "a")]
    now[0] = 9
    assert [key for _, key in timers.pop_due()] == [("ns", "b")]
    assert timers.next_delay() is None


def test_a_look_can_be_asked_for_again_once_it_came() -> None:
    timers, looked = DelayQueue(lambda: 1.0), list[Key]()
    timers.add_after(looked.append, ("", "a"), 0)
    assert len(timers.pop_due()) == 1
    timers.add_after(looked.append, ("", "a"), 0)
    assert len(timers.pop_due()) == 1
