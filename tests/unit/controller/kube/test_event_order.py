"""Events in the order in which they happened, whatever their times are written in."""

from __future__ import annotations

import random
from typing import Any

from controller.kube.event_order import event_order, event_times


def event(name: str, version: str = "", **more: Any) -> Any:
    return {"metadata": {"name": name, "resourceVersion": version}, **more}


def test_events_of_one_second_are_in_the_order_in_which_they_were_written() -> None:
    events = [
        event("early", "40", firstTimestamp="2026-01-01T00:00:00Z", lastTimestamp="2026-01-01T00:00:04Z"),
        event("ninth", "9", firstTimestamp="2026-01-01T00:00:05Z", lastTimestamp="2026-01-01T00:00:05Z"),
        event("tenth", "10", firstTimestamp="2026-01-01T00:00:05Z", lastTimestamp="2026-01-01T00:00:05Z"),
        event("precise", "8", eventTime="2026-01-01T00:00:05.100000Z"),
        event(
            "counted", "7", eventTime="2026-01-01T00:00:00.0Z", series={"lastObservedTime": "2026-01-01T00:00:05.2Z"}
        ),
    ]
    shuffled = random.Random(1).sample(events, len(events))
    assert sorted(shuffled, key=event_order) == events


def test_an_event_without_a_time_is_the_oldest() -> None:
    unknown = [event("x"), event("y", "?", lastTimestamp="soon"), event("z", firstTimestamp="2026-01-01T00:00:00")]
    known = event("a", creation="", firstTimestamp="2026-01-01T00:00:00Z")
    assert max([*unknown, known], key=event_order) is known
    assert event_times(known) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")
