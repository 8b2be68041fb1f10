"""Events are deleted an hour after they were last written, and when there are too many."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from embedded.api.scheme import EVENTS, NAMESPACES, PODS, ObjectRef
from embedded.controllers.delay_queue import DelayQueue
from embedded.controllers.event_ttl import EventTtlController
from embedded.registry.event_recorder import EventRecorder
from embedded.registry.registry import Registry
from embedded.storage.sqlite import SqliteStore


class Hours:
    """A registry, an Event controller and their time."""

    def __init__(self, store: SqliteStore) -> None:
        self.seconds = 0.0
        start = datetime(2026, 1, 2, tzinfo=UTC)
        self.registry = Registry(store, clock=lambda: start + timedelta(seconds=self.seconds))
        self.registry.create(NAMESPACES, {"metadata": {"name": "default"}})
        spec = {"containers": [{"name": "main", "image": "busybox"}]}
        self.pod = self.registry.create(PODS, {"metadata": {"name": "p"}, "spec": spec}, namespace="default").object
        self.recorder = EventRecorder(self.registry, "kubelet")

    def start(self, max_events: int) -> None:
        self.delays = DelayQueue(lambda: self.seconds)
        controller = EventTtlController(self.registry, self.delays.add_after, max_events)
        controller.start()
        self.registry.store.subscribe(controller.observe)

    def record(self, message: str) -> None:
        self.recorder.event(PODS, self.pod, "Tested", message)

    def run_until(self, seconds: float) -> list[str]:
        """Let time pass; returns the messages of the Events that are left."""
        while (left := self.delays.next_delay()) is not None and self.seconds + left <= seconds:
            self.seconds += left
            for sync, key in self.delays.pop_due():
                sync(key)
        self.seconds = seconds
        return sorted(event["message"] for event in self.registry.list(EVENTS))


@pytest.fixture
def hours(store: SqliteStore) -> Hours:
    return Hours(store)


def _started(hours: Hours, max_events: int = 1000) -> Callable[[float], list[str]]:
    hours.start(max_events)
    return hours.run_until


def test_an_event_lives_for_an_hour(hours: Hours) -> None:
    run_until = _started(hours)
    hours.record("early")
    assert run_until(1800) == ["early"]
    hours.record("late")
    assert run_until(3500) == ["early", "late"]
    assert run_until(3700) == ["late"]
    assert run_until(5500) == []


def test_a_repeated_event_lives_for_another_hour(hours: Hours) -> None:
    run_until = _started(hours)
    hours.record("again")
    run_until(3000)
    hours.record("again")
    assert run_until(6000) == ["again"]
    assert run_until(6700) == []


def test_events_of_an_earlier_process_expire(hours: Hours) -> None:
    hours.record("old")
    hours.seconds = 3000
    run_until = _started(hours)
    assert run_until(3500) == ["old"]
    assert run_until(3700) == []


def test_the_oldest_events_make_room(hours: Hours) -> None:
    run_until = _started(hours, max_events=3)
    for number in range(5):
        hours.record(str(number))
    assert run_until(1) == ["2", "3", "4"]


def test_a_deleted_event_is_forgotten(hours: Hours) -> None:
    run_until = _started(hours, max_events=1)
    hours.record("one")
    (event,) = hours.registry.list(EVENTS)
    hours.registry.delete(ObjectRef(EVENTS, "default", event["metadata"]["name"]))
    hours.record("two")
    assert run_until(1) == ["two"]
