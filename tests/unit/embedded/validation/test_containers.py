"""Ports, probes, hooks and resources of containers, and classes of pods, are validated as by a real server."""

from __future__ import annotations

from typing import Any

import pytest

from embedded.api.scheme import PODS, ObjectRef
from embedded.api.status_errors import ApiError
from embedded.registry.registry import Registry
from embedded.validation.containers import validate_ports, validate_probes_and_hooks, validate_resources

Json = dict[str, Any]
PROBE: Json = {"exec": {"command": ["true"]}}


def _create(registry: Registry, container: Json | None = None, **spec: Any) -> Json:
    given = {"containers": [{"name": "c", "image": "i", **(container or {})}], **spec}
    return registry.create(PODS, {"metadata": {"name": "p"}, "spec": given}, namespace="default").object


@pytest.mark.parametrize(
    ("port", "field", "message"),
    [
        ({"containerPort": 80, "name": "UP1"}, "ports[0].name", "must contain only alpha-numeric characters"),
        ({"containerPort": 80, "name": "1"}, "ports[0].name", "must contain at least one letter"),
        ({"containerPort": 80, "name": "x" * 16}, "ports[0].name", "must be no more than 15 characters"),
        ({"containerPort": 80, "name": "a--b"}, "ports[0].name", "must not contain consecutive hyphens"),
        ({"containerPort": 80, "name": "a-"}, "ports[0].name", "must not begin or end with a hyphen"),
        ({"containerPort": 80, "hostPort": 70000}, "ports[0].hostPort", "must be between 1 and 65535, inclusive"),
        ({}, "ports[0].containerPort", "Required value"),
    ],
)
def test_ports(port: Json, field: str, message: str) -> None:
    assert any(error.field == field and message in error.message for error in validate_ports([port], "ports"))


@pytest.mark.parametrize(
    ("container", "field", "message"),
    [
        ({"livenessProbe": {}}, "c.livenessProbe", "must specify a handler type"),
        ({"livenessProbe": {**PROBE, "successThreshold": 2}}, "c.livenessProbe.successThreshold", "must be 1"),
        (
            {"startupProbe": {**PROBE, "periodSeconds": -1}},
            "c.startupProbe.periodSeconds",
            "greater than or equal to 0",
        ),
        ({"livenessProbe": {"exec": {}}}, "c.livenessProbe.exec.command", "Required value"),
        (
            {"readinessProbe": {**PROBE, "terminationGracePeriodSeconds": 1}},
            "c.readinessProbe.terminationGracePeriodSeconds",
            "must not be set for readinessProbes",
        ),
        (
            {"readinessProbe": {**PROBE, "tcpSocket": {"port": 1}}},
            "c.readinessProbe.tcpSocket",
            "may not specify more than 1 handler type",
        ),
        ({"readinessProbe": {"httpGet": {"port": 0}}}, "c.readinessProbe.httpGet.port", "between 1 and 65535"),
        ({"lifecycle": {"preStop": {}}}, "c.lifecycle.preStop", "must specify a handler type"),
    ],
)
def test_probes_and_hooks(container: Json, field: str, message: str) -> None:
    ((found, detail),) = [(e.field, e.message) for e in validate_probes_and_hooks(container, "c", is_init=False)]
    assert found == field
    assert message in detail


def test_plain_init_containers_have_no_probes() -> None:
    (error,) = validate_probes_and_hooks({"readinessProbe": PROBE}, "c", is_init=True)
    assert error.message == "Forbidden: may not be set for init containers without restartPolicy=Always"
    assert validate_probes_and_hooks({"readinessProbe": PROBE, "restartPolicy": "Always"}, "c", is_init=True) == []


def test_resources_are_standard_or_qualified() -> None:
    messages = [error.message for error in validate_resources({"requests": {"foo": "1"}}, "r")]
    assert messages == [
        'Invalid value: "foo": must be a standard resource type or fully qualified',
        'Invalid value: "foo": must be a standard resource for containers',
    ]
    (error,) = validate_resources({"requests": {"a.b/gpu": "1"}}, "r")
    assert (error.field, error.reason) == ("r.limits", "FieldValueRequired")
    assert validate_resources({"limits": {"a.b/gpu": "1", "cpu": "1"}}, "r") == []


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        ({"priorityClassName": "none"}, 403, "no PriorityClass with name none was found"),
        ({"priority": 5}, 403, "the integer value of priority (5) must not be provided in pod spec"),
        ({"runtimeClassName": "gvisor"}, 403, 'pod rejected: RuntimeClass "gvisor" not found'),
        ({"hostname": "A_b"}, 422, "spec.hostname"),
        ({"dnsPolicy": "None"}, 422, "must provide `dnsConfig`"),
        ({"ephemeralContainers": [{"name": "e", "image": "i"}]}, 422, "cannot be set on create"),
        ({"nodeName": "n", "schedulingGates": [{"name": "a/b"}]}, 422, "until all schedulingGates have been cleared"),
        (
            {"volumes": [{"name": "v", "configMap": {"name": "m", "items": [{"key": "k", "path": "a/../b"}]}}]},
            422,
            "must not contain '..'",
        ),
    ],
)
def test_pods_that_a_real_server_refuses(registry: Registry, spec: Json, code: int, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        _create(registry, **spec)
    assert refused.value.code == code
    assert message in refused.value.message


def test_a_system_class_sets_the_priority(registry: Registry) -> None:
    assert _create(registry, priorityClassName="system-node-critical")["spec"]["priority"] == 2000001000


def test_scheduling_gates_can_only_be_removed(registry: Registry) -> None:
    pod = _create(registry, schedulingGates=[{"name": "a/one"}, {"name": "a/two"}])
    ref = ObjectRef(PODS, "default", "p")
    pod = registry.patch(ref, {"spec": {"schedulingGates": [{"name": "a/two"}]}}).object
    assert pod["spec"]["schedulingGates"] == [{"name": "a/two"}]
    with pytest.raises(ApiError, match="only deletion is allowed, but found new scheduling gate 'a/new'"):
        registry.patch(ref, {"spec": {"schedulingGates": [{"name": "a/new"}]}})
