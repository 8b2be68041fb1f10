"""Events of components: their content, repetitions, and when they are stored."""

from __future__ import annotations

import asyncio
from typing import Any

from embedded.api.scheme import EVENTS, PODS, RESOURCE_QUOTAS, ObjectRef
from embedded.registry.event_recorder import EventRecorder
from embedded.registry.registry import Registry
from embedded.storage.sqlite import StoreEvent
from tests.support.waiting import wait_until_async

Json = dict[str, Any]


def _pod(registry: Registry) -> Json:
    spec = {"containers": [{"name": "main", "image": "busybox"}]}
    return registry.create(PODS, {"metadata": {"name": "p"}, "spec": spec}, namespace="default").object


def test_an_event_has_the_fields_of_a_kubelets(registry: Registry) -> None:
    pod = _pod(registry)
    recorder = EventRecorder(registry, "kubelet", "embedded")
    recorder.event(PODS, pod, "Started", "Container started", field_path="spec.containers{main}")
    (event,) = registry.list(EVENTS)
    name, _, moment = event["metadata"]["name"].partition(".")
    assert (name, len(moment), int(moment, 16) > 0) == ("p", 16, True)
    assert event["involvedObject"] == {
        "kind": "Pod",
        "apiVersion": "v1",
        "namespace": "default",
        "name": "p",
        "uid": pod["metadata"]["uid"],
        "resourceVersion": pod["metadata"]["resourceVersion"],
        "fieldPath": "spec.containers{main}",
    }
    assert event["source"] == {"component": "kubelet", "host": "embedded"}
    assert (event["reportingComponent"], event["reportingInstance"]) == ("kubelet", "embedded")
    assert (event["type"], event["reason"], event["message"]) == ("Normal", "Started", "Container started")
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-02T03:04:05Z"
    assert (event["count"], event["eventTime"]) == (1, None)


def test_an_event_passes_the_validation_of_the_api(registry: Registry) -> None:
    EventRecorder(registry, "kubelet").event(PODS, _pod(registry), "Started", "Container started")
    (event,) = registry.list(EVENTS)
    name = event["metadata"]["name"]
    replaced = registry.update(ObjectRef(EVENTS, "default", name), {**event, "message": "m"}).object
    assert {**replaced, "message": event["message"]} | {"metadata": event["metadata"]} == event


def test_a_repeated_event_is_counted(registry: Registry) -> None:
    pod, recorder = _pod(registry), EventRecorder(registry, "kubelet")
    for message in ("one", "two", "one", "one"):
        recorder.event(PODS, pod, "BackOff", message)
    counts = {event["message"]: event["count"] for event in registry.list(EVENTS)}
    assert counts == {"one": 3, "two": 1}


async def test_events_of_a_moment_are_stored_in_one_go(registry: Registry) -> None:
    pod, recorder = _pod(registry), EventRecorder(registry, "kubelet")
    for message in ("one", "two", "one"):
        recorder.event(PODS, pod, "BackOff", message)
    assert registry.list(EVENTS) == []
    changes: list[StoreEvent] = []
    registry.store.subscribe(changes.append)
    await wait_until_async(lambda: registry.list(EVENTS), 60)
    assert [change.type for change in changes] == ["ADDED", "ADDED"]
    assert {event["message"]: event["count"] for event in registry.list(EVENTS)} == {"one": 2, "two": 1}


async def test_many_events_leave_time_for_other_tasks(registry: Registry) -> None:
    pod, recorder = _pod(registry), EventRecorder(registry, "kubelet")
    for number in range(120):
        recorder.event(PODS, pod, "BackOff", str(number))
    seen: set[int] = set()
    async with asyncio.timeout(60):
        while len(stored := registry.list(EVENTS)) < 120:
            seen.add(len(stored))
            await asyncio.sleep(0)
    assert len(seen) > 1


def test_events_of_a_missing_namespace_are_dropped(registry: Registry) -> None:
    pod = _pod(registry)
    recorder = EventRecorder(registry, "kubelet")
    elsewhere = {**pod, "metadata": {**pod["metadata"], "namespace": "gone"}}
    recorder.event(PODS, elsewhere, "Started", "Container started")
    assert registry.list(EVENTS) == []


def test_a_quota_of_events_is_respected(registry: Registry) -> None:
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"count/events": "2"}}}
    registry.create(RESOURCE_QUOTAS, quota, namespace="default")
    pod, recorder = _pod(registry), EventRecorder(registry, "kubelet")
    for message in ("one", "two", "three", "one"):
        recorder.event(PODS, pod, "BackOff", message)
    assert {event["message"]: event["count"] for event in registry.list(EVENTS)} == {"one": 2, "two": 1}
