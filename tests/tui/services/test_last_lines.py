"""The last lines of a run below the list of runs."""

from __future__ import annotations

from workbench.tui.services.last_lines import Looks


def _asked(looks: Looks, ticks: int, what: object) -> list[int]:
    """The ticks at which a log that shows this is looked at."""
    found = []
    for tick in range(1, ticks + 1):
        if looks.due():
            found.append(tick)
            looks.found(what)
    return found


def test_a_log_that_does_not_grow_is_looked_at_less_often() -> None:
    looks = Looks()
    assert _asked(looks, 25, "silent") == [1, 2, 4, 7, 11, 16, 21]


def test_a_log_that_grows_is_looked_at_each_tick() -> None:
    looks = Looks()
    _asked(looks, 25, "silent")
    looks.found("a line")
    looks.found("another line")
    assert looks.due()
    looks.found("a third line")
    assert looks.due()
