"""A container's variables are what its spec says, and a short list of what the machine has."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.kubelet.config.environment import (
    INHERITED_VARIABLES,
    ConfigError,
    container_environment,
    expand_variables,
    inherited_environment,
)

Json = dict[str, Any]
POD: Json = {
    "metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"app": "x"}},
    "spec": {"nodeName": "embedded"},
}
SECRET: Json = {"metadata": {"name": "s", "namespace": "ns"}, "data": {"key": base64.b64encode(b"v\xff").decode()}}
CONFIG: Json = {"metadata": {"name": "c", "namespace": "ns"}, "data": {"colour": "red"}}


def variables(**container: Any) -> dict[str, str]:
    return container_environment(
        container, POD, lambda name: SECRET if name == "s" else None, lambda name: CONFIG if name == "c" else None
    )


def test_only_the_documented_variables_are_inherited() -> None:
    machine = dict.fromkeys(
        [*INHERITED_VARIABLES, "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "VIRTUAL_ENV", "C8S_TOKEN"], "x"
    )
    assert set(inherited_environment(machine)) == {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR"),
    }
    assert all(INHERITED_VARIABLES.values())


def test_later_variables_override_earlier_ones() -> None:
    def source(kind: str, name: str, key: str) -> Json:
        return {"valueFrom": {kind: {"name": name, "key": key}}}

    got = variables(
        envFrom=[{"configMapRef": {"name": "c"}, "prefix": "P_"}, {"secretRef": {"name": "none", "optional": True}}],
        env=[
            {"name": "A", **source("secretKeyRef", "s", "key")},
            {"name": "B", **source("configMapKeyRef", "c", "colour")},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "D", "value": "$(B)-$(NOPE)-$$(B)"},
            {"name": "P_colour", "value": "blue"},
            {"name": "EMPTY"},
        ],
    )
    assert got == {
        "HOSTNAME": "p",
        "A": "v\udcff",
        "B": "red",
        "C": "x",
        "N": "embedded",
        "D": "red-$(NOPE)-$(B)",
        "P_colour": "blue",
        "EMPTY": "",
    }


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"secretKeyRef": {"name": "none", "key": "k"}}, 'secret "none" not found'),
        ({"secretKeyRef": {"name": "s", "key": "k"}}, "couldn't find key k in Secret ns/s"),
        ({"fieldRef": {"fieldPath": "spec.containers"}}, "unsupported fieldPath: spec.containers"),
    ],
)
def test_missing_objects_are_named_as_by_a_kubelet(reference: Json, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        variables(env=[{"name": "X", "valueFrom": reference}])


@given(st.text())
def test_text_without_references_is_unchanged(text: str) -> None:
    plain = text.replace("$", "")
    assert expand_variables(plain, {"A": "x"}) == plain


@given(st.text())
def test_doubled_dollars_are_unescaped(text: str) -> None:
    assert expand_variables(text.replace("$", "$$"), {"A": "x"}) == text


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,5}", fullmatch=True), st.text()))
def test_expanded_values_are_not_expanded_again(values: dict[str, str]) -> None:
    text = "".join(f"[$({name})]" for name in values)
    assert expand_variables(text, values) == "".join(f"[{value}]" for value in values.values())


def test_a_container_gets_its_limits_and_host_name() -> None:
    def resource_field(resource: str, divisor: str = "0") -> Json:
        return {"valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}

    got = variables(
        resources={"limits": {"memory": "64Mi", "cpu": "1500m"}, "requests": {"cpu": "250m"}},
        env=[
            {"name": "BYTES", **resource_field("limits.memory")},
            {"name": "MIB", **resource_field("limits.memory", "1Mi")},
            {"name": "CPUS", **resource_field("limits.cpu")},
            {"name": "MILLIS", **resource_field("requests.cpu", "1m")},
            {"name": "NONE", **resource_field("requests.memory")},
        ],
    )
    assert got == {
        "HOSTNAME": "p",
        "BYTES": "67108864",
        "MIB": "64",
        "CPUS": "2",
        "MILLIS": "250",
        "NONE": "0",
    }
    with pytest.raises(ConfigError, match=r"unsupported container resource: limits\.gold"):
        variables(env=[{"name": "X", **resource_field("limits.gold")}])


@pytest.mark.parametrize(
    "container",
    [{"envFrom": [{"secretRef": {}}]}, {"env": [{}]}, {"env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]}],
)
def test_invalid_variables_are_a_config_error(container: Json) -> None:
    with pytest.raises(ConfigError, match="variables are invalid"):
        variables(**container)
