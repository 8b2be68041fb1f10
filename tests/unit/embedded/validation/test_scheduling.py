"""Taints, tolerations and node affinity are validated as by a real server."""

from __future__ import annotations

from typing import Any

import pytest

from embedded.validation.scheduling import validate_node, validate_pod_scheduling

Json = dict[str, Any]


def _errors(spec: Json) -> list[tuple[str, str]]:
    return [(error.field, error.message) for error in validate_pod_scheduling(spec, "spec")]


def _affinity(*terms: Json) -> Json:
    required = {"nodeSelectorTerms": list(terms)}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def _rule(**rule: Any) -> Json:
    return _affinity({"matchExpressions": [rule]})


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"nodeSelector": {"a/b": "c"}},
        {"tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"}]},
        {"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]},
        _rule(key="a", operator="In", values=["b"]),
        _affinity({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}),
        _affinity({}),
    ],
)
def test_valid_pods_have_no_errors(spec: Json) -> None:
    assert _errors(spec) == []


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"nodeSelector": {"a b": "c"}}, "spec.nodeSelector", "name part must consist of"),
        (
            {"tolerations": [{"value": "x"}]},
            "spec.tolerations[0].operator",
            "operator must be Exists when `key` is empty",
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]},
            "spec.tolerations[0].operator",
            "value must be empty when `operator` is 'Exists'",
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Like"}]},
            "spec.tolerations[0].operator",
            'Unsupported value: "Like": supported values: "Equal", "Exists"',
        ),
        (
            {"tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}]},
            "spec.tolerations[0].effect",
            "effect must be 'NoExecute' when `tolerationSeconds` is set",
        ),
        (
            {"tolerations": [{"key": "a", "effect": "Never"}]},
            "spec.tolerations[0].effect",
            'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
        ),
        (_affinity(), "nodeSelectorTerms", "must have at least one node selector term"),
        (_rule(key="a", operator="In"), "matchExpressions[0].values", "must be specified when `operator` is 'In'"),
        (_rule(key="a", operator="Exists", values=["b"]), "values", "may not be specified when `operator` is 'Exists'"),
        (_rule(key="a", operator="Gt", values=[]), "values", "must be specified single value"),
        (_rule(key="a", operator="Like", values=[]), "operator", "not a valid selector operator"),
        (
            _affinity({"matchFields": [{"key": "spec.x", "operator": "In", "values": ["n"]}]}),
            "matchFields[0].key",
            "not a valid field selector key",
        ),
    ],
)
def test_invalid_pods_have_the_errors_of_a_real_server(spec: Json, field: str, message: str) -> None:
    ((found, detail),) = _errors(spec)
    assert found.endswith(field)
    assert message in detail


def test_the_taints_of_a_node_are_validated() -> None:
    taints = [
        {"key": "a", "effect": "NoSchedule"},
        {"key": "a", "value": "other", "effect": "NoSchedule"},
        {"key": "", "effect": "Sometimes"},
    ]
    found = [(error.field, error.reason) for error in validate_node({"spec": {"taints": taints}})]
    assert found == [
        ("spec.taints[1]", "FieldValueDuplicate"),
        ("spec.taints[2].key", "FieldValueInvalid"),
        ("spec.taints[2].effect", "FieldValueNotSupported"),
    ]
