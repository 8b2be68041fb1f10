"""lightkube: typed and generic resources, apply, waits, exec with text and bytes, logs, roles."""

from __future__ import annotations

import io
import platform
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.contract.clients.installed import import_client
from tests.contract.clients.pods import SLEEPING, config_map_manifest, definition_manifest, pod_manifest
from tests.support.waiting import wait_until

lightkube = import_client("lightkube")
codecs = import_client("lightkube.codecs")
core = import_client("lightkube.resources.core_v1")
rbac = import_client("lightkube.resources.rbac_authorization_v1")
extensions = import_client("lightkube.resources.apiextensions_v1")
operators = import_client("lightkube.operators")
PatchType = import_client("lightkube.types").PatchType
generic = import_client("lightkube.generic_resource")
ObjectMeta = import_client("lightkube.models.meta_v1").ObjectMeta

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_RULE = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}


@pytest.fixture
def client(namespace: str) -> Iterator[Any]:
    with lightkube.Client(namespace=namespace, field_manager="lightkube") as opened:
        yield opened


def _start_pod(client: Any, script: str = SLEEPING, **spec: Any) -> Any:
    client.create(codecs.from_dict(pod_manifest("p", script, **spec)))
    return client.wait(core.Pod, "p", for_conditions=["Ready"])


def _phase(client: Any, name: str = "p") -> str:
    return str(client.get(core.Pod, name).status.phase)


def _role(name: str, kind: str = "Role", **fields: Any) -> Any:
    metadata = {"name": name, **fields.pop("metadata", {})}
    return codecs.from_dict(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, **fields}
    )


def test_objects_are_created_changed_listed_and_deleted(client: Any) -> None:
    made = client.create(codecs.from_dict(config_map_manifest("a", k="1")))
    made.data = {"k": "2"}
    client.replace(made)
    patched = client.patch(core.ConfigMap, "a", {"metadata": {"labels": {"l": "1"}}})
    assert (patched.data, patched.metadata.labels) == ({"k": "2"}, {"l": "1"})
    assert [item.metadata.name for item in client.list(core.ConfigMap, labels={"l": "1"}, chunk_size=1)] == ["a"]
    assert [item.metadata.name for item in client.list(core.ConfigMap, labels={"l": operators.not_exists()})] != ["a"]
    client.deletecollection(core.ConfigMap)
    with pytest.raises(lightkube.ApiError) as missing:
        client.get(core.ConfigMap, "a")
    assert missing.value.status.reason == "NotFound"


def test_a_conflicting_apply_is_refused_until_forced(client: Any) -> None:
    client.apply(codecs.from_dict(config_map_manifest("a", k="1")), field_manager="one")
    with pytest.raises(lightkube.ApiError) as refused:
        client.apply(codecs.from_dict(config_map_manifest("a", k="2")), field_manager="two")
    assert [cause.field for cause in refused.value.status.details.causes] == [".data.k"]
    assert client.apply(codecs.from_dict(config_map_manifest("a", k="2")), field_manager="two", force=True).data == {
        "k": "2"
    }


def test_an_apply_without_rules_leaves_those_of_another(client: Any) -> None:
    client.apply(_role("r", rules=[_RULE]), field_manager="one")
    applied = client.apply(_role("r", metadata={"labels": {"l": "1"}}), field_manager="two")
    assert (len(applied.rules), applied.metadata.labels) == (1, {"l": "1"})
    assert len(client.apply(_role("r"), field_manager="two", force=True).rules) == 1


def test_an_aggregated_role_has_the_rules_of_its_parts(client: Any, namespace: str) -> None:
    label = {f"example.com/{namespace}": "true"}
    selectors = {"clusterRoleSelectors": [{"matchLabels": label}]}
    client.create(_role(f"whole-{namespace}", "ClusterRole", aggregationRule=selectors, rules=[]))
    client.create(_role(f"part-{namespace}", "ClusterRole", metadata={"labels": label}, rules=[_RULE]))

    def verbs() -> list[str]:
        rules = client.get(rbac.ClusterRole, f"whole-{namespace}").rules or []
        return [verb for rule in rules for verb in rule.verbs]

    assert wait_until(verbs, timeout=10, what="the rules of the aggregated role") == ["get"]


def test_a_role_of_an_operator_is_part_of_view(client: Any, namespace: str) -> None:
    rule = {"apiGroups": [f"{namespace}.example.com"], "resources": ["things"], "verbs": ["get"]}
    label = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    client.create(_role(f"view-{namespace}", "ClusterRole", metadata={"labels": label}, rules=[rule]))

    def is_included(role: str) -> bool:
        rules = client.get(rbac.ClusterRole, role).rules or []
        return any(f"{namespace}.example.com" in (each.apiGroups or []) for each in rules)

    for role in ("view", "edit", "admin"):
        wait_until(lambda role=role: is_included(role), timeout=10, what=f"the rule in {role}")


def test_exec_takes_text_and_bytes(client: Any) -> None:
    _start_pod(client)
    said = client.exec("p", command=["sh", "-c", "read line; echo got $line; exit 3"], stdin="grüezi\n", stdout=True)
    assert (said.stdout, said.exit_code) == ("got grüezi\n", 3)
    content, written = bytes(range(256)) * 100, io.BytesIO()
    size = str(len(content))
    assert client.exec("p", command=["head", "-c", size], stdin=content, stdout=written, stderr=True).exit_code == 0
    assert written.getvalue() == content
    with pytest.raises(lightkube.ApiError, match="no-such-program"):
        client.exec("p", command="no-such-program", stdout=True)


def test_logs_are_followed_to_their_end(client: Any) -> None:
    client.create(codecs.from_dict(pod_manifest("p", "echo one; echo two")))
    wait_until(lambda: _phase(client) != "Pending", what="the pod to start")
    assert list(client.log("p", follow=True, newlines=False)) == ["one", "two"]
    assert list(client.log("p", tail_lines=1)) == ["two\n"]


def test_a_pod_runs_on_a_node_of_its_architecture(client: Any) -> None:
    architecture = _ARCHITECTURES[platform.machine()]
    selector = {"kubernetes.io/arch": architecture, "kubernetes.io/os": platform.system().lower()}
    client.create(codecs.from_dict(pod_manifest("p", "true", nodeSelector=selector)))
    wait_until(lambda: _phase(client) == "Succeeded", timeout=20, what="the pod to run")
    node = client.get(core.Node, client.get(core.Pod, "p").spec.nodeName)
    assert node.status.nodeInfo.architecture == architecture


def test_a_pod_that_no_node_fits_is_pending_and_says_so(client: Any) -> None:
    client.create(codecs.from_dict(pod_manifest("p", nodeSelector={"disk": "ssd"})))

    def reasons() -> list[str]:
        return [str(c.reason) for c in client.get(core.Pod, "p").status.conditions or [] if c.type == "PodScheduled"]

    assert wait_until(reasons, timeout=10, what="a condition of the pod") == ["Unschedulable"]


def test_arguments_alone_are_run(client: Any) -> None:
    manifest = pod_manifest("p")
    container = manifest["spec"]["containers"][0]
    container["args"] = [*container.pop("command")[:2], "echo from arguments"]
    client.create(codecs.from_dict(manifest))
    wait_until(lambda: _phase(client) in ("Succeeded", "Failed"), what="the pod to end")
    assert (_phase(client), list(client.log("p"))) == ("Succeeded", ["from arguments\n"])


def test_a_generic_resource_of_a_new_definition_is_watched(client: Any) -> None:
    client.create(codecs.from_dict(definition_manifest("widgets", "Widget", "lightkube.example.com")))
    client.wait(extensions.CustomResourceDefinition, "widgets.lightkube.example.com", for_conditions=["Established"])
    widget = generic.create_namespaced_resource("lightkube.example.com", "v1", "Widget", "widgets")
    made = client.create(widget(metadata=ObjectMeta(name="w"), spec={"size": 1}))
    client.patch(widget.Status, "w", {"status": {"phase": "Ready"}}, patch_type=PatchType.MERGE)
    seen = []
    for operation, obj in client.watch(widget, resource_version=made.metadata.resourceVersion):
        seen.append((operation, obj.status))
        if operation == "MODIFIED":
            client.delete(widget, "w")
        else:
            break
    assert seen == [("MODIFIED", {"phase": "Ready"}), ("DELETED", {"phase": "Ready"})]


@pytest.fixture
async def async_client(namespace: str) -> AsyncIterator[Any]:
    opened = lightkube.AsyncClient(namespace=namespace, field_manager="lightkube")
    yield opened
    await opened.close()


async def test_the_asynchronous_client_applies_and_runs(async_client: Any) -> None:
    await async_client.apply(codecs.from_dict(pod_manifest("p")))
    await async_client.wait(core.Pod, "p", for_conditions=["Ready"])
    said = await async_client.exec("p", command=["cat"], stdin=b"\x00\xff", stdout=True, decode=None, timeout=20)
    assert said.stdout == b"\x00\xff"
