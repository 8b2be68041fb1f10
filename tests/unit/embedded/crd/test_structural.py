"""Custom resources are completed, pruned and checked by their schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.crd import definition_schema, schema_validation, structural

_SPEC = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 10},
        "colour": {"type": "string", "enum": ["red", "blue"], "default": "red"},
        "tags": {"type": "array", "maxItems": 2, "items": {"type": "string", "pattern": "^[a-z]+$"}},
        "extra": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "anything": {"x-kubernetes-preserve-unknown-fields": True},
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


def _errors(obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    return [(cause.field, cause.reason) for cause in schema_validation.validate_value(obj, SCHEMA, old)]


def test_nested_defaults_are_set() -> None:
    widget = _widget()
    structural.set_defaults(widget, SCHEMA)
    assert widget["spec"] == {"size": 1, "colour": "red", "nested": {"n": 3}}


def test_items_of_a_list_that_may_be_anything_are_preserved() -> None:
    widget = _widget(anything=[{"a": {"b": [{"c": 1}]}}])
    assert structural.prune(widget, SCHEMA) == []
    assert widget["spec"]["anything"] == [{"a": {"b": [{"c": 1}]}}]


def test_unknown_fields_are_pruned_unless_preserved() -> None:
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
def test_invalid_value_names_field_and_reason(spec: dict[str, Any], field: str, reason: str) -> None:
    assert _errors(_widget(**spec))[0] == (field, reason)


def test_missing_required_field_is_reported() -> None:
    assert _errors({"metadata": {}, "spec": {}})[0] == ("spec.size", "FieldValueRequired")


def test_rules_are_not_checked_where_the_schema_is_violated() -> None:
    old, new = _widget(fixed="a"), _widget(fixed="b", size="3")
    assert _errors(new, old) == [("spec.size", "FieldValueTypeInvalid"), ("<nil>", "FieldValueInvalid")]
    assert _errors(_widget(fixed="b", size=11), old) == [
        ("spec.size", "FieldValueInvalid"),
        ("spec.fixed", "FieldValueInvalid"),
    ]


def test_errors_of_a_schema_without_rules_stand_alone() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    found = list(schema_validation.validate_value({"a": "x"}, schema))
    assert [error.field for error in found] == ["a"]


@pytest.mark.parametrize("value", [5, "5", "50%"])
def test_int_or_string_accepts_both(value: int | str) -> None:
    assert _errors(_widget(either=value)) == []


def test_immutable_field_can_be_set_once() -> None:
    assert _errors(_widget(fixed="a"), _widget()) == []
    assert _errors(_widget(fixed="a"), _widget(fixed="a")) == []
    assert _errors(_widget(fixed="b"), _widget(fixed="a")) == [("spec.fixed", "FieldValueInvalid")]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abn", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abn", max_size=3), inner, max_size=3),
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys((*_SPEC["properties"], "unknown"), _JSON)))
def test_any_object_is_defaulted_and_validated(spec: dict[str, Any]) -> None:
    widget = {"metadata": {"name": "w"}, "spec": spec}
    structural.set_defaults(widget, SCHEMA)
    structural.prune(widget, SCHEMA)
    list(schema_validation.validate_value(widget, SCHEMA))
    assert structural.prune(widget, SCHEMA) == []


def _messages(value: Any, schema: dict[str, Any], old: Any = None) -> list[str]:
    return [f"{c.field} {c.reason} {c.message}" for c in schema_validation.validate_value(value, schema, old, "spec")]


@pytest.mark.parametrize(
    ("value", "schema", "message"),
    [
        (7, {"multipleOf": 5}, "spec FieldValueInvalid Invalid value: 7: spec in body should be a multiple of 5"),
        (
            5,
            {"maximum": 5, "exclusiveMaximum": True},
            "spec FieldValueInvalid Invalid value: 5: spec in body should be less than 5",
        ),
        (
            "x",
            {"format": "date-time"},
            'spec FieldValueTypeInvalid Invalid value: "x": spec in body must be of type date-time: "x"',
        ),
        (
            {"a": 1},
            {"minProperties": 2},
            "spec FieldValueInvalid Invalid value: 1: spec in body should have at least 2 properties",
        ),
        (
            [1, 1],
            {"x-kubernetes-list-type": "set", "items": {"type": "integer"}},
            "spec[1] FieldValueDuplicate Duplicate value: 1",
        ),
        (
            "x",
            {"anyOf": [{"enum": ["a"]}, {"enum": ["b"]}]},
            'spec FieldValueInvalid Invalid value: "": "spec" must validate at least one schema (anyOf)',
        ),
        (
            "x",
            {"not": {"enum": ["x"]}},
            'spec FieldValueInvalid Invalid value: "": "spec" must not validate the schema (not)',
        ),
        (
            "x",
            {"oneOf": [{"pattern": "x"}, {"minLength": 1}]},
            'spec FieldValueInvalid Invalid value: "": "spec" must validate one and only one schema (oneOf). '
            "Found 2 valid alternatives",
        ),
    ],
)
def test_each_keyword_has_the_message_of_kubernetes(value: Any, schema: dict[str, Any], message: str) -> None:
    assert _messages(value, schema) == [message]


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("date-time", "2026-01-02T03:04:05Z", "2026-01-02"),
        ("date", "2026-01-02", "20260102"),
        ("duration", "1h5m", "1 hour"),
        ("byte", "aGk=", "*"),
        ("ipv4", "10.0.0.1", "10.0.0"),
        ("ipv6", "::1", "1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("hostname", "a.example", "-a"),
        ("email", "a@b", "a"),
        ("uri", "https://a/b", "a b"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
    ],
)
def test_string_formats(form: str, good: str, bad: str) -> None:
    assert _messages(good, {"format": form}) == []
    assert len(_messages(bad, {"format": form})) == 1


_RULED = {
    "type": "object",
    "properties": {"min": {"type": "integer"}, "max": {"type": "integer"}},
    "x-kubernetes-validations": [
        {
            "rule": "self.min <= self.max",
            "messageExpression": "'%d is more than %d'.format([self.min, self.max])",
            "fieldPath": ".max",
        },
        {"rule": "self.max >= oldSelf.max", "message": "never less", "reason": "FieldValueForbidden"},
        {"rule": "!oldSelf.hasValue() || self.min == oldSelf.value().min", "optionalOldSelf": True},
    ],
}


def test_violated_rules_report_their_messages() -> None:
    assert _messages({"min": 1, "max": 2}, _RULED) == []
    assert _messages({"min": 3, "max": 2}, _RULED) == ["spec.max FieldValueInvalid Invalid value: 3 is more than 2"]
    assert _messages({"min": 1, "max": 2}, _RULED, {"min": 1, "max": 3}) == [
        "spec FieldValueForbidden Forbidden: never less"
    ]
    assert _messages({"min": 2, "max": 5}, _RULED, {"min": 1, "max": 3}) == [
        "spec FieldValueInvalid Invalid value: failed rule: !oldSelf.hasValue() || self.min == oldSelf.value().min"
    ]
    assert "no such key: min" in _messages({"max": 2}, _RULED)[0]


def test_list_map_items_are_matched_by_key_in_updates() -> None:
    item = {
        "type": "object",
        "properties": {"k": {"type": "string"}, "v": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.v >= oldSelf.v", "message": "only more"}],
    }
    schema = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    old = [{"k": "a", "v": 1}, {"k": "b", "v": 5}]
    assert _messages([{"k": "b", "v": 6}, {"k": "a", "v": 1}, {"k": "c", "v": 0}], schema, old) == []
    assert _messages([{"k": "b", "v": 4}], schema, old) == ["spec[0] FieldValueInvalid Invalid value: only more"]
    atomic = {"type": "array", "items": item}
    assert _messages([{"k": "b", "v": 0}], atomic, old) == []


def test_unchanged_invalid_value_is_accepted_in_update() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer", "maximum": 1}, "b": {"type": "integer"}}}
    assert _messages({"a": 5, "b": 2}, schema, {"a": 5, "b": 1}) == []
    assert len(_messages({"a": 6, "b": 2}, schema, {"a": 5, "b": 1})) == 1


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({}, "type"),
        ({"type": "string"}, "type"),
        ({"type": "object", "properties": {"a": {}}}, "properties[a].type"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "properties[a].type"),
        ({"type": "object", "properties": {"a": {"type": "array"}}}, "properties[a].items"),
        ({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}, "properties[a].pattern"),
        ({"type": "object", "properties": {"a": {"type": "string", "default": 1}}}, "properties[a].default"),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"type": "string"}, "uniqueItems": True}},
            },
            "properties[a].uniqueItems",
        ),
        (
            {"type": "object", "x-kubernetes-validations": [{"rule": "slef == 1"}]},
            "x-kubernetes-validations[0].rule",
        ),
        ({"type": "object", "x-kubernetes-validations": [{"rule": ""}]}, "x-kubernetes-validations[0].rule"),
        (
            {
                "type": "object",
                "properties": {
                    "a": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}},
                },
            },
            "properties[a].x-kubernetes-list-map-keys",
        ),
    ],
)
def test_non_structural_schema_is_refused_at_its_field(schema: dict[str, Any], field: str) -> None:
    assert [cause.field for cause in definition_schema.validate_schema(schema, "at")] == [f"at.{field}"]
