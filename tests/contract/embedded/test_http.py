"""Authentication, authorization, limits and malformed requests are answered as by a real server."""

from __future__ import annotations

import socket
import urllib.parse

import pytest

from tests.contract.embedded.conftest import STRANGER, Api
from tests.support.kubernetes import TOKEN

_PODS = "/api/v1/namespaces/default/pods"


@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_an_unknown_token_is_unauthorized(api: Api, token: str | None) -> None:
    status, body = api("GET", _PODS, token=token)
    assert status == 401
    assert body["kind"] == "Status"
    assert body["reason"] == "Unauthorized"
    assert body["message"] == "Unauthorized"


def test_a_user_without_a_role_is_forbidden(api: Api) -> None:
    status, body = api("GET", f"{_PODS}/p", token=STRANGER)
    assert (status, body["reason"], body["details"]) == (403, "Forbidden", {"kind": "pods", "name": "p"})
    assert body["message"] == (
        'pods "p" is forbidden: User "stranger" cannot get resource "pods" in API group "" in the namespace "default"'
    )


def test_discovery_and_self_reviews_need_no_role(api: Api) -> None:
    assert api("GET", "/api/v1", token=STRANGER)[0] == 200
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    status, body = api("POST", path, review, token=STRANGER)
    assert (status, body["status"]["allowed"]) == (201, False)


def test_a_role_binding_grants_access_to_a_service_account(api: Api) -> None:
    spec = {"spec": {"expirationSeconds": 600}}
    _, request = api("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", spec)
    token = request["status"]["token"]
    assert api("GET", _PODS, token=token)[0] == 403
    binding = {
        "metadata": {"name": "viewer"},
        "roleRef": {"kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    }
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
    assert api("POST", rbac, binding)[0] == 201
    assert api("GET", _PODS, token=token)[0] == 200
    assert api("GET", "/api/v1/namespaces/default/secrets", token=token)[0] == 403


def test_foreign_hosts_and_origins_are_rejected(api: Api) -> None:
    assert api("GET", _PODS, Host="evil.example")[0] == 403
    assert api("GET", _PODS, Origin="https://evil.example")[0] == 403
    assert api("GET", _PODS, Origin="http://localhost:3000")[0] == 200


def test_a_body_over_3_mib_is_rejected(api: Api) -> None:
    def config(size: int) -> bytes:
        return b'{"metadata":{"generateName":"big-"}}'.ljust(size)

    path = "/api/v1/namespaces/default/configmaps"
    status, body = api("POST", path, config((3 << 20) + 1))
    assert (status, body["reason"]) == (413, "RequestEntityTooLarge")
    assert api("POST", path, config(3 << 20))[0] == 201


def test_the_size_of_a_config_map_is_limited(api: Api) -> None:
    body = {"metadata": {"name": "fat"}, "data": {"k": "x" * (1 << 20)}}
    assert api("POST", "/api/v1/namespaces/default/configmaps", body)[0] == 201
    body = {"metadata": {"name": "fatter"}, "data": {"k": "x" * ((1 << 20) + 1)}}
    status, answer = api("POST", "/api/v1/namespaces/default/configmaps", body)
    assert (status, answer["details"]["causes"][0]["reason"]) == (422, "FieldValueTooLong")


_ODD_BODIES = [b"", b"{", b"[]", b"null", b'"x"', b'{"metadata": []}', b'{"metadata": 1}', b"[" * 100_000, b"\xff\xfe"]


@pytest.mark.parametrize("body", _ODD_BODIES, ids=range(len(_ODD_BODIES)))
def test_any_body_gets_an_answer(api: Api, body: bytes) -> None:
    status, answer = api("POST", "/api/v1/namespaces/default/configmaps", body)
    assert (status, answer["kind"]) in ((400, "Status"), (422, "Status"))


@pytest.mark.parametrize(
    "obj",
    [
        {"metadata": {"name": 5}},
        {"metadata": {"name": "a", "labels": []}},
        {"metadata": {"name": "a", "labels": {"a": 5}}},
        {"metadata": {"name": "a", "finalizers": "x"}},
        {"metadata": {"name": "a", "ownerReferences": {"a": 1}}},
        {"metadata": {"generateName": 5}},
        {"metadata": {"name": "a", "annotations": 7}},
        {"apiVersion": 7, "kind": [], "metadata": {"name": "a"}},
    ],
)
def test_malformed_metadata_is_rejected(api: Api, obj: object) -> None:
    status, answer = api("POST", "/api/v1/namespaces/default/configmaps", obj)
    assert (status, answer["kind"]) in ((400, "Status"), (422, "Status"))


@pytest.mark.parametrize(
    "spec",
    [None, 5, [], {"containers": 5}, {"containers": [5]}, {"containers": {"name": "a"}}, {"containers": [{"env": 5}]}],
)
def test_a_malformed_pod_is_rejected(api: Api, spec: object) -> None:
    status, answer = api("POST", _PODS, {"metadata": {"name": "odd"}, "spec": spec})
    assert (status, answer["kind"]) in ((400, "Status"), (422, "Status"))


def test_an_unfinished_request_does_not_delay_others(api: Api) -> None:
    place = urllib.parse.urlsplit(api.cluster.url)
    with socket.create_connection((str(place.hostname), int(place.port or 0))) as slow:
        head = [
            "POST " + _PODS + " HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {TOKEN}",
            "Content-Length: 99",
        ]
        slow.sendall("\r\n".join([*head, "", "{"]).encode())
        assert api("GET", _PODS)[0] == 200


def test_impersonation_needs_permission(api: Api) -> None:
    assert api("GET", _PODS, Impersonate_User="joe")[0] == 403
    status, body = api("GET", _PODS, token=STRANGER, Impersonate_User="admin", Impersonate_Group="system:masters")
    assert (status, body["details"]) == (403, {"name": "admin", "kind": "users"})
    assert api("GET", _PODS, Impersonate_Group="system:masters")[0] == 400
    assert api("GET", _PODS, Impersonate_User="joe", Impersonate_Group="system:masters")[0] == 200


def test_the_default_namespace_cannot_be_deleted(api: Api) -> None:
    status, body = api("DELETE", "/api/v1/namespaces/default")
    assert (status, body["message"]) == (403, 'namespaces "default" is forbidden: this namespace may not be deleted')
    assert api("DELETE", "/api/v1/namespaces")[0] == 405
    assert api("POST", "/version", {})[0] == 405


@pytest.mark.parametrize(
    "schema",
    [
        [],
        {"type": "object", "properties": 5},
        {"type": "object", "properties": {"a": {"type": ["string"]}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": 5, "default": "x"}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "(", "default": "x"}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": [1]}}},
        {"type": "object", "required": [[]]},
        {"type": "object", "anyOf": [5]},
        {"type": "object", "x-kubernetes-validations": [{"rule": 5}]},
    ],
)
def test_a_definition_with_an_invalid_schema_is_rejected(api: Api, schema: object) -> None:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "odds", "kind": "Odd"}
    spec = {"group": "odd.example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    status, answer = api("POST", path, {"metadata": {"name": "odds.odd.example.com"}, "spec": spec})
    assert (status, answer["reason"]) in ((422, "Invalid"), (400, "BadRequest"))


def test_lone_surrogates_are_replaced(api: Api) -> None:
    body = b'{"metadata": {"name": "half"}, "data": {"k": "a\\ud800b"}}'
    path = "/api/v1/namespaces/default/configmaps"
    assert api("POST", path, body)[1]["data"]["k"] == "a\ufffdb"
    assert api("GET", f"{path}/half")[1]["data"]["k"] == "a\ufffdb"


_CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize("content_type", [None, ""])
def test_every_body_without_a_content_type_is_json(api: Api, content_type: str | None) -> None:
    name = {None: "untyped", "": "emptily-typed"}[content_type]
    status, made = api("POST", _CONFIG_MAPS, {"metadata": {"name": name}}, content_type=content_type)
    assert (status, made["metadata"]["name"]) == (201, name)
    made["data"] = {"k": "v"}
    status, updated = api("PUT", f"{_CONFIG_MAPS}/{name}", made, content_type=content_type)
    assert (status, updated["data"]) == (200, {"k": "v"})
    dry = {"dryRun": ["All"]}
    assert api("DELETE", f"{_CONFIG_MAPS}/{name}", dry, content_type=content_type)[0] == 200
    assert api("GET", f"{_CONFIG_MAPS}/{name}")[0] == 200
    account = "/api/v1/namespaces/default/serviceaccounts/default/token"
    status, token = api("POST", account, {"spec": {"expirationSeconds": 600}}, content_type=content_type)
    assert (status, bool(token["status"]["token"])) == (201, True)
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    status, reviewed = api("POST", path, review, content_type=content_type)
    assert (status, reviewed["status"]["allowed"]) == (201, True)


def test_a_patch_without_a_content_type_is_refused(api: Api) -> None:
    assert api("PATCH", f"{_CONFIG_MAPS}/kube-root-ca.crt", {}, content_type=None)[0] == 415


def test_wrapped_base64_is_stored_in_one_line(api: Api) -> None:
    path = "/api/v1/namespaces/default/secrets"
    status, made = api("POST", path, {"metadata": {"name": "wrapped"}, "data": {"k": "aGVs\nbG8=\n"}})
    assert (status, made["data"]) == (201, {"k": "aGVsbG8="})
    patch = {"data": {"l": "aGVs\r\nbG8="}}
    _, patched = api("PATCH", f"{path}/wrapped", patch, content_type="application/merge-patch+json")
    assert patched["data"] == {"k": "aGVsbG8=", "l": "aGVsbG8="}
    applied = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "wrapped"}, "data": {"m": "aGVs\nbG8="}}
    query = "fieldManager=test"
    apply = "application/apply-patch+yaml"
    _, found = api("PATCH", f"{path}/wrapped?{query}", applied, content_type=apply)
    assert found["data"]["m"] == "aGVsbG8="


def test_an_object_is_selected_by_name_with_an_empty_term(api: Api) -> None:
    status, found = api("GET", f"{_CONFIG_MAPS}?fieldSelector=metadata.name%3Dkube-root-ca.crt,")
    assert (status, [item["metadata"]["name"] for item in found["items"]]) == (200, ["kube-root-ca.crt"])


def test_an_object_above_the_limit_of_etcd_is_refused(api: Api) -> None:
    container = {"name": "main", "image": "busybox", "args": ["x" * 1_600_000]}
    pod = {"metadata": {"name": "large"}, "spec": {"containers": [container], "restartPolicy": "Never"}}
    status, body = api("POST", _PODS, pod)
    assert (status, body["message"]) == (500, "etcdserver: request is too large")
    assert "reason" not in body
    assert api("GET", f"{_PODS}/large")[0] == 404
