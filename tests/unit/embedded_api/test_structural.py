"""Custom resources are completed, pruned and checked by their schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.machinery import structural

_SPEC = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
        "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "tags": {"type": "array", "maxItems": 2, "items": {"type": "string", "pattern": "^[a-z]+$"}},
        "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "either": {"x-kubernetes-int-or-string": True},
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
        "fixed": {
            "type": "string",
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed is immutable"}],
        },
        "nested": {"type": "object", "default": {}, "properties": {"n": {"type": "integer", "default": 3}}},
    },
}
SCHEMA = {"type": "object", "properties": {"spec": _SPEC}}


def _widget(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "x/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1, **spec}}


def _causes(obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    return [(cause.field, cause.reason) for cause in structural.causes(obj, SCHEMA, old)]


def test_defaults_are_filled_in_also_below_defaults() -> None:
    widget = _widget()
    structural.default(widget, SCHEMA)
    assert widget["spec"] == {"size": 1, "colour": "red", "nested": {"n": 3}}


def test_unknown_fields_go_except_where_they_are_kept() -> None:
    widget = _widget(unknown=1, extra={"kept": {"deep": 1}}, env={"A": "b"}, nested={"x": 1})
    assert structural.prune(widget, SCHEMA) == ["spec.unknown", "spec.nested.x"]
    assert widget["spec"] == {"size": 1, "extra": {"kept": {"deep": 1}}, "env": {"A": "b"}, "nested": {}}


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ({"size": 11}, "spec.size", "FieldValueInvalid"),
        ({"size": 0}, "spec.size", "FieldValueInvalid"),
        ({"size": "3"}, "spec.size", "FieldValueTypeInvalid"),
        ({"size": True}, "spec.size", "FieldValueTypeInvalid"),
        ({"colour": "green"}, "spec.colour", "FieldValueNotSupported"),
        ({"tags": ["ok", "NO"]}, "spec.tags[1]", "FieldValueInvalid"),
        ({"tags": ["a", "b", "c"]}, "spec.tags", "FieldValueTooMany"),
        ({"either": 1.5}, "spec.either", "FieldValueTypeInvalid"),
        ({"env": {"A": 1}}, "spec.env.A", "FieldValueTypeInvalid"),
        ({"extra": None}, "spec.extra", "FieldValueTypeInvalid"),
    ],
)
def test_what_does_not_fit_is_named(spec: dict[str, Any], field: str, reason: str) -> None:
    assert _causes(_widget(**spec)) == [(field, reason)]


def test_a_required_field_is_asked_for() -> None:
    assert _causes({"metadata": {}, "spec": {}}) == [("spec.size", "FieldValueRequired")]


@pytest.mark.parametrize("value", [5, "5", "50%"])
def test_int_or_string_takes_both(value: int | str) -> None:
    assert _causes(_widget(either=value)) == []


def test_an_immutable_field_may_be_set_once() -> None:
    assert _causes(_widget(fixed="a"), _widget()) == []
    assert _causes(_widget(fixed="a"), _widget(fixed="a")) == []
    assert _causes(_widget(fixed="b"), _widget(fixed="a")) == [("spec.fixed", "FieldValueInvalid")]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abn", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abn", max_size=3), inner, max_size=3),
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys((*_SPEC["properties"], "unknown"), _JSON)))
def test_any_object_is_completed_and_checked_without_a_fault(spec: dict[str, Any]) -> None:
    widget = {"metadata": {"name": "w"}, "spec": spec}
    structural.default(widget, SCHEMA)
    structural.prune(widget, SCHEMA)
    list(structural.causes(widget, SCHEMA))
    assert structural.prune(widget, SCHEMA) == []
