"""Built-in kinds have the fields of a real server: others are dropped or refused, wrong types can't be read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.api import field_types
from embedded.api.scheme import CONFIG_MAPS, JOBS, PODS, SECRETS, VALIDATING_WEBHOOKS, ResourceType
from embedded.api.status_errors import ApiError
from embedded.registry.options import WriteOptions
from embedded.registry.registry import Registry


def _pod(**container: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "m", **container}]}}


def test_unknown_fields_and_nulls_are_dropped() -> None:
    pod = _pod(imaeg="b", image=None) | {"metadata": {"name": "p", "creationTimestamp": None, "extra": 1}}
    field_types.drop_unknown_fields(PODS, pod)
    assert pod == {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "m"}]}}


def test_strict_write_names_unknown_field(registry: Registry) -> None:
    with pytest.raises(ApiError) as raised:
        registry.create(PODS, _pod(imaeg="b"), namespace="default", options=WriteOptions(strict=True))
    assert raised.value.message == (
        'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field '
        '"spec.containers[0].imaeg"'
    )


@pytest.mark.parametrize(
    ("container", "where"),
    [
        ({"image": 5}, "spec.containers[0].image"),
        ({"env": {}}, "spec.containers[0].env"),
        ({"args": [1]}, "spec.containers[0].args[0]"),
        ({"stdin": "yes"}, "spec.containers[0].stdin"),
        ({"resources": {"limits": {"cpu": []}}}, "spec.containers[0].resources.limits.cpu"),
        ({"ports": [{"containerPort": True}]}, "spec.containers[0].ports[0].containerPort"),
    ],
)
def test_wrong_type_names_the_field(container: dict[str, Any], where: str) -> None:
    with pytest.raises(ApiError) as raised:
        field_types.drop_unknown_fields(PODS, _pod(**container))
    assert raised.value.code == 400
    assert f"into {where} of type" in raised.value.message


def test_quantities_and_ports_accept_numbers_and_strings() -> None:
    pod = _pod(
        resources={"limits": {"cpu": 1, "memory": "1Gi"}},
        startupProbe={"httpGet": {"port": "http"}, "periodSeconds": 1},
    )
    assert field_types.drop_unknown_fields(PODS, pod) == []


def test_only_metadata_of_custom_resources_is_checked() -> None:
    custom = ResourceType("example.com", "v1", "widgets", "Widget", schema={})
    widget = {"metadata": {"name": "w", "odd": 1}, "spec": {"anything": {"goes": None}}}
    field_types.drop_unknown_fields(custom, widget)
    assert widget == {"metadata": {"name": "w"}, "spec": {"anything": {"goes": None}}}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "labels", "template", "containers", "env", "x"]), inner, max_size=4)
    ),
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "data", "status", "x"]), _JSON))
def test_decoding_any_object_is_idempotent_or_fails_with_400(obj: dict[str, Any]) -> None:
    for resource in (CONFIG_MAPS, JOBS, PODS):
        code = 0
        try:
            field_types.drop_unknown_fields(resource, obj)
            assert field_types.drop_unknown_fields(resource, obj) == []
        except ApiError as error:
            code = error.code
        assert code in (0, 400)


@pytest.mark.parametrize("amount", ["much", "", "1 Gi", "1e99999999999", "NaN", "🙂", "\n"])
def test_invalid_quantity_is_a_bad_request(amount: str) -> None:
    with pytest.raises(ApiError, match="quantities must match") as raised:
        field_types.drop_unknown_fields(PODS, _pod(resources={"limits": {"memory": amount}}))
    assert raised.value.code == 400


_WRAPPED, _PLAIN = "aGVs\nbG8=\n", "aGVsbG8="


@pytest.mark.parametrize(
    ("resource", "fields", "stored"),
    [
        (SECRETS, {"data": {"k": _WRAPPED}}, {"data": {"k": _PLAIN}}),
        (CONFIG_MAPS, {"binaryData": {"k": _WRAPPED}}, {"binaryData": {"k": _PLAIN}}),
        (CONFIG_MAPS, {"data": {"k": _WRAPPED}}, {"data": {"k": _WRAPPED}}),
        (
            VALIDATING_WEBHOOKS,
            {"webhooks": [{"clientConfig": {"caBundle": _WRAPPED}}]},
            {"webhooks": [{"clientConfig": {"caBundle": _PLAIN}}]},
        ),
    ],
)
def test_bytes_are_stored_without_line_breaks(
    resource: ResourceType, fields: dict[str, Any], stored: dict[str, Any]
) -> None:
    obj = {"metadata": {"name": "a"}, **fields}
    assert field_types.drop_unknown_fields(resource, obj) == []
    assert obj == {"metadata": {"name": "a"}, **stored}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("aGV*", "illegal base64 data at input byte 3"),
        ("_-8=", "illegal base64 data at input byte 0"),
        (5, "json: cannot unmarshal number into data.k of type []uint8"),
    ],
)
def test_invalid_base64_is_a_bad_request(value: Any, why: str) -> None:
    with pytest.raises(ApiError) as refused:
        field_types.drop_unknown_fields(SECRETS, {"metadata": {"name": "a"}, "data": {"k": value}})
    assert refused.value.message == f'Secret in version "v1" cannot be handled as a Secret: {why}'
