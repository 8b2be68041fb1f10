"""kr8s: objects by name, waits, exec with text and bytes, logs, labels, nodes, whoami with a token."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.clients.conftest import Rest
from tests.contract.clients.installed import import_client
from tests.contract.clients.pods import SLEEPING, config_map_manifest, definition_manifest, pod_manifest
from tests.support.waiting import wait_until

kr8s = import_client("kr8s")
objects = import_client("kr8s.objects")


@pytest.fixture
def api(kubeconfig: Path, namespace: str) -> Any:
    return kr8s.api(kubeconfig=str(kubeconfig), namespace=namespace)


def _pod(api: Any, namespace: str, script: str = SLEEPING) -> Any:
    manifest = pod_manifest("p", script)
    manifest["metadata"]["namespace"] = namespace
    pod = objects.Pod(manifest, api=api)
    pod.create()
    return pod


def _config_map(api: Any, namespace: str, name: str, **data: str) -> Any:
    manifest = config_map_manifest(name, **data)
    manifest["metadata"]["namespace"] = namespace
    return objects.ConfigMap(manifest, api=api)


def test_the_server_and_its_resources_are_found(api: Any) -> None:
    assert api.version()["gitVersion"].startswith("v1.")
    assert {"pods", "jobs", "events"} <= {resource["name"] for resource in api.api_resources()}
    assert "batch/v1" in list(api.api_versions())


def test_an_object_is_got_by_name(api: Any, namespace: str) -> None:
    _config_map(api, namespace, "a", k="1").create()
    _config_map(api, namespace, "b").create()
    assert [found.name for found in api.get("configmaps", "a", namespace=namespace)] == ["a"]
    assert objects.ConfigMap.get("a", namespace=namespace, api=api).data == {"k": "1"}
    assert list(api.get("configmaps", "missing", namespace=namespace)) == []


def test_an_object_is_labelled_annotated_patched_and_deleted(api: Any, namespace: str) -> None:
    config_map = _config_map(api, namespace, "a", k="1")
    config_map.create()
    config_map.label(tier="db")
    config_map.annotate(note="x")
    config_map.patch({"data": {"k": "2"}})
    config_map.patch([{"op": "add", "path": "/data/l", "value": "3"}], type="json")
    assert [found.name for found in api.get("configmaps", namespace=namespace, label_selector={"tier": "db"})] == ["a"]
    config_map.refresh()
    assert (config_map.data, config_map.annotations) == ({"k": "2", "l": "3"}, {"note": "x"})
    config_map.delete(propagation_policy="Foreground")
    config_map.wait("delete", timeout=20)
    assert not config_map.exists()


def test_exec_returns_text_and_bytes(api: Any, namespace: str) -> None:
    pod = _pod(api, namespace)
    pod.wait("condition=Ready", timeout=30)
    assert pod.exec(["sh", "-c", "echo hello; echo no >&2"]).stderr == b"no\n"
    written = io.BytesIO()
    pod.exec(["sh", "-c", r"printf '\000\377'"], stdout=written, capture_output=False)
    assert written.getvalue() == b"\x00\xff"
    assert pod.exec(["sh", "-c", "exit 7"], check=False).returncode == 7


def test_logs_are_read_and_followed(api: Any, namespace: str) -> None:
    pod = _pod(api, namespace, "echo one; echo two")
    pod.wait("jsonpath='{.status.phase}'=Succeeded", timeout=30)
    assert list(pod.logs()) == ["one", "two"]
    assert list(pod.logs(follow=True, tail_lines=1, timeout=20)) == ["two"]


def test_a_watch_shows_what_happens_to_an_object(api: Any, namespace: str) -> None:
    config_map = _config_map(api, namespace, "a", k="1")
    config_map.create()
    seen = []
    for event, found in api.watch("configmaps", namespace=namespace, field_selector={"metadata.name": "a"}):
        seen.append((event, dict(found.data)))
        if event == "ADDED":
            config_map.patch({"data": {"k": "2"}})
        elif event == "MODIFIED":
            config_map.delete()
        else:
            break
    assert seen == [("ADDED", {"k": "1"}), ("MODIFIED", {"k": "2"}), ("DELETED", {"k": "2"})]


def test_base64_with_line_breaks_is_stored_without(api: Any, namespace: str) -> None:
    content = bytes(range(120))
    data = {"k": base64.encodebytes(content).decode()}
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace}, "data": data}
    objects.Secret(manifest, api=api).create()
    stored = objects.Secret.get("s", namespace=namespace, api=api).data["k"]
    assert (base64.b64decode(stored, validate=True), "\n" in stored) == (content, False)


def test_a_node_is_cordoned_and_uncordoned(api: Any, namespace: str) -> None:
    (node,) = api.get("nodes")
    node.cordon()
    try:
        node.refresh()
        assert node.unschedulable
        pod = _pod(api, namespace, "true")

        def is_unschedulable() -> bool:
            pod.refresh()
            return any(c.get("reason") == "Unschedulable" for c in pod.status.get("conditions", []))

        wait_until(is_unschedulable, timeout=10, what="the pod to be unschedulable")
    finally:
        node.uncordon()
    pod.wait("jsonpath='{.status.phase}'=Succeeded", timeout=30)


def test_a_service_account_that_reviews_tokens_knows_who_it_is(
    api: Any, namespace: str, rest: Rest, tmp_path: Path, kubeconfig: Path
) -> None:
    _, made = rest("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", {"spec": {}})
    binding = {
        "metadata": {"name": f"delegator-{namespace}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
    }
    assert rest("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)[0] == 201
    config = json.loads(kubeconfig.read_text())
    config["users"][0]["user"]["token"] = made["status"]["token"]
    path = tmp_path / "config"
    path.write_text(json.dumps(config))
    own = kr8s.api(kubeconfig=str(path))
    assert own.whoami() == f"system:serviceaccount:{namespace}:default"


def test_a_new_kind_is_found_by_its_name(api: Any, namespace: str) -> None:
    definition = definition_manifest("gizmos", "Gizmo", "kr8s.example.com")
    crd = objects.CustomResourceDefinition(definition, api=api)
    crd.create()
    crd.wait("condition=Established", timeout=20)
    gizmo = objects.new_class("Gizmo", "kr8s.example.com/v1", namespaced=True)
    made = gizmo({"metadata": {"name": "g", "namespace": namespace}, "spec": {"size": 1}}, api=api)
    made.create()
    made.patch({"status": {"phase": "Ready"}}, subresource="status")
    assert [found.status.phase for found in api.get("gizmos.kr8s.example.com", namespace=namespace)] == ["Ready"]
