"""Events are validated as by a real server; events.k8s.io/v1 is stricter than the core group."""

from __future__ import annotations

from typing import Any

import pytest

from embedded.validation.events import complete_v1_errors, validate_event

Json = dict[str, Any]
TIME = "2026-01-01T00:00:00.000000Z"
NEW: Json = {
    "metadata": {"name": "e", "namespace": "ns"},
    "involvedObject": {"kind": "Pod", "name": "p", "namespace": "ns"},
    "eventTime": TIME,
    "reportingComponent": "example.com/controller",
    "reportingInstance": "controller-1",
    "action": "Testing",
    "reason": "Tested",
    "message": "note",
    "type": "Normal",
}
LEGACY: Json = {**NEW, "eventTime": None, "reportingComponent": "", "reportingInstance": "", "action": ""}


def _v1_errors(event: Json, old: Json | None = None) -> list[tuple[str, str]]:
    return [(error.field, error.message) for error in complete_v1_errors(validate_event(event), event, old)]


def test_complete_events_are_valid_in_both_groups() -> None:
    assert _v1_errors(NEW) == []
    assert validate_event(NEW) == []


def test_the_core_group_takes_events_without_a_time() -> None:
    assert validate_event(LEGACY) == []
    assert _v1_errors(LEGACY) == [("eventTime", "Required value")]


@pytest.mark.parametrize("field", ["reportingInstance", "action", "reason"])
def test_an_event_with_a_time_needs_its_reporter(field: str) -> None:
    assert [(error.field, error.reason) for error in validate_event({**NEW, field: ""})] == [
        (field, "FieldValueRequired")
    ]
    assert "can have at most 128 characters" in validate_event({**NEW, field: "x" * 129})[0].message


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"reportingComponent": "a b"}, "reportingController", "name part must consist of"),
        ({"message": "x" * 1025}, "message", "can have at most 1024 characters"),
        ({"type": "Odd"}, "type", "has invalid value: Odd"),
        ({"count": 3}, "count", "needs to be unset"),
        ({"firstTimestamp": "2026-01-01T00:00:00Z"}, "firstTimestamp", "needs to be unset"),
        ({"source": {"component": "c"}}, "source", "needs to be unset"),
        ({"series": {"count": 1, "lastObservedTime": TIME}}, "series.count", "should be at least 2"),
        ({"series": {"count": 2}}, "series.lastObservedTime", "Required value"),
        ({"involvedObject": {"kind": "Node", "name": "n"}}, "involvedObject.namespace", "does not match"),
    ],
)
def test_events_v1_refuses_what_a_real_server_refuses(change: Json, field: str, message: str) -> None:
    ((found, detail),) = _v1_errors({**NEW, **change})
    assert found == field
    assert message in detail


def test_an_event_of_v1_changes_only_in_its_series() -> None:
    series = {"count": 2, "lastObservedTime": TIME}
    assert _v1_errors({**NEW, "series": series}, NEW) == []
    assert [field for field, _ in _v1_errors({**NEW, "message": "other", "reason": "Other"}, NEW)] == [
        "reason",
        "message",
    ]


@pytest.mark.parametrize(
    ("namespace", "about", "is_valid"),
    [("ns", "ns", True), ("ns", "other", False), ("default", "", True), ("ns", "", False)],
)
def test_an_event_is_in_the_namespace_of_its_object(namespace: str, about: str, is_valid: bool) -> None:
    involved = {"kind": "Pod", "name": "p", "namespace": about}
    event = {**LEGACY, "metadata": {"name": "e", "namespace": namespace}, "involvedObject": involved}
    assert (validate_event(event) == []) is is_valid
