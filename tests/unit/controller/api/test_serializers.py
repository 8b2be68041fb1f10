"""Kubernetes objects as people see them."""

from typing import Any

from controller.api.serializers import (
    serialize_event,
    serialize_pipeline,
    serialize_pod,
    serialize_quota,
    serialize_run,
)


def run(name: str, created: str = "2026-01-01T00:00:00Z", number: str = "1", **status: Any) -> dict[str, Any]:
    labels = {"c8s.dev/pipeline": "app", "c8s.dev/run-number": number}
    meta = {
        "name": name,
        "namespace": "a",
        "uid": "u",
        "resourceVersion": "5",
        "creationTimestamp": created,
        "labels": labels,
    }
    return {
        "metadata": meta,
        "spec": {"pipeline": {"name": "app", "steps": []}, "cancel": True},
        "status": status,
    }


def test_a_run_always_has_a_phase() -> None:
    assert serialize_run(run("x"), definition=False)["status"] == {"phase": "Pending"}


def test_definition_is_included_on_request() -> None:
    assert serialize_run(run("x"), definition=True)["definition"] == {"name": "app", "steps": []}
    assert "definition" not in serialize_run(run("x"), definition=False)


def test_the_definition_and_not_a_label_says_which_pipeline_it_is() -> None:
    forged = run("forged-1")
    forged["metadata"]["labels"]["c8s.dev/pipeline"] = "release"
    assert serialize_run(forged, definition=False)["pipeline"] == "app"
    del forged["spec"]["pipeline"]
    assert serialize_run(forged, definition=False)["pipeline"] == "release"


def test_a_run_made_by_hand_without_labels_is_shown_too() -> None:
    found = serialize_run({"metadata": {"name": "x", "namespace": "a"}, "spec": {}}, definition=True)
    assert (found["number"], found["pipeline"], found["cancelRequested"]) == (None, None, False)


def test_stored_pipeline_is_a_whole_definition() -> None:
    config = {"metadata": {"name": "app", "resourceVersion": 7}, "spec": {"steps": []}}
    found = serialize_pipeline(config)
    assert found["definition"] == {"version": "v1alpha1", "name": "app", "steps": []}
    assert found["resourceVersion"] == "7"


def test_events_of_both_kinds_of_reporters_are_shown_alike() -> None:
    about = {"kind": "Pod", "name": "p", "uid": "u"}
    old = {"metadata": {}, "involvedObject": about, "firstTimestamp": "1", "lastTimestamp": "2", "count": 3}
    new = {"metadata": {}, "involvedObject": about, "eventTime": "1", "series": {"count": 3, "lastObservedTime": "2"}}
    bare = {"metadata": {"creationTimestamp": "0"}}
    shown = {"firstTime": "1", "lastTime": "2", "count": 3, "object": {"kind": "Pod", "name": "p"}}
    assert shown.items() <= serialize_event(old).items()
    assert shown.items() <= serialize_event(new).items()
    assert (serialize_event(bare)["count"], serialize_event(bare)["lastTime"]) == (1, "0")


def test_a_pod_that_is_not_scheduled_has_no_node() -> None:
    found = serialize_pod({"metadata": {"name": "p", "labels": {"c8s.dev/step": "build", "c8s.dev/run": "app-1"}}})
    assert found == {
        "name": "p",
        "step": "build",
        "run": "app-1",
        "phase": "Pending",
        "node": None,
        "startedAt": None,
    }


def test_a_quota_that_is_not_counted_yet_shows_its_limits() -> None:
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "4", "cpu": "2"}}}
    assert serialize_quota(quota) == [
        {"name": "q", "resource": "cpu", "used": "0", "hard": "2"},
        {"name": "q", "resource": "pods", "used": "0", "hard": "4"},
    ]
