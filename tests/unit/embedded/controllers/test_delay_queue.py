"""Syncs are returned once, when they are due."""

from __future__ import annotations

from embedded.controllers.delay_queue import DelayQueue, Key


def test_of_two_syncs_of_an_object_the_earlier_one_is_kept() -> None:
    now = [0.0]
    queue, synced = DelayQueue(lambda: now[0]), list[Key]()
    queue.add_after(synced.append, ("ns", "a"), 5)
    queue.add_after(synced.append, ("ns", "b"), 3)
    queue.add_after(synced.append, ("ns", "a"), 2)
    queue.add_after(synced.append, ("ns", "a"), 9)
    assert queue.next_delay() == 2
    now[0] = 2
    assert [key for _, key in queue.pop_due()] == [("ns", "a")]
    now[0] = 9
    assert [key for _, key in queue.pop_due()] == [("ns", "b")]
    assert queue.next_delay() is None


def test_a_sync_can_be_scheduled_again_after_it_was_due() -> None:
    queue, synced = DelayQueue(lambda: 1.0), list[Key]()
    queue.add_after(synced.append, ("", "a"), 0)
    assert len(queue.pop_due()) == 1
    queue.add_after(synced.append, ("", "a"), 0)
    assert len(queue.pop_due()) == 1
