"""The conversion of events between the core group and events.k8s.io/v1."""

from __future__ import annotations

from embedded.registry import event_versions

_CORE = {
    "kind": "Event",
    "apiVersion": "v1",
    "metadata": {"name": "a"},
    "involvedObject": {"name": "p"},
    "message": "started",
    "count": 2,
    "reportingComponent": "kubelet",
}


def test_conversion_renames_fields_and_back() -> None:
    converted = event_versions.from_core(_CORE)
    assert converted["apiVersion"] == "events.k8s.io/v1"
    assert converted["regarding"] == {"name": "p"}
    assert (converted["note"], converted["deprecatedCount"]) == ("started", 2)
    assert event_versions.to_core(converted) == _CORE


def test_paths_of_a_json_patch_are_renamed_at_their_root() -> None:
    patch = [{"op": "replace", "path": "/regarding/note", "value": "x"}, {"op": "move", "from": "/note", "path": "/a"}]
    assert event_versions.to_core(patch) == [
        {"op": "replace", "path": "/involvedObject/note", "value": "x"},
        {"op": "move", "from": "/message", "path": "/a"},
    ]
