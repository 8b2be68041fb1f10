"""The official Python client: typed calls, watches, exec with text and bytes, logs, apply, leader election."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.contract.clients.conftest import Rest
from tests.contract.clients.installed import import_client
from tests.contract.clients.pods import SLEEPING, config_map_manifest, definition_manifest, pod_manifest
from tests.support.waiting import wait_until

kubernetes = import_client("kubernetes")
config = import_client("kubernetes.config")
dynamic = import_client("kubernetes.dynamic")
informer = import_client("kubernetes.informer")
stream = import_client("kubernetes.stream").stream

_NODE = "embedded"


@pytest.fixture
def client(kubeconfig: Path) -> Iterator[Any]:
    config.load_kube_config(str(kubeconfig))
    with kubernetes.client.ApiClient() as opened:
        yield opened
        opened.rest_client.pool_manager.clear()


@pytest.fixture
def core(client: Any) -> Any:
    return kubernetes.client.CoreV1Api(client)


def _start_pod(core: Any, namespace: str, name: str = "p", script: str = SLEEPING, **spec: Any) -> None:
    core.create_namespaced_pod(namespace, pod_manifest(name, script, **spec))
    wait_until(lambda: _phase(core, namespace, name) == "Running", what=f"pod {name} to run")


def _phase(core: Any, namespace: str, name: str = "p") -> str:
    return str(core.read_namespaced_pod(name, namespace).status.phase)


def _exec(core: Any, namespace: str, *command: str, **options: Any) -> Any:
    return stream(
        core.connect_get_namespaced_pod_exec,
        "p",
        namespace,
        command=list(command),
        **{"stdin": True, "stdout": True, "stderr": True, "tty": False, "_preload_content": False} | options,
    )


def test_a_watch_shows_changes_and_resumes(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map_manifest("a", k="1"))
    start = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.patch_namespaced_config_map("a", namespace, {"data": {"k": "2"}})
    core.delete_namespaced_config_map("a", namespace, body=kubernetes.client.V1DeleteOptions(grace_period_seconds=0))
    seen: list[tuple[str, Any]] = []
    watch = kubernetes.watch.Watch()
    for event in watch.stream(
        core.list_namespaced_config_map,
        namespace,
        resource_version=start,
        field_selector="metadata.name=a",
        timeout_seconds=20,
    ):
        seen.append((event["type"], event["object"].data))
        if event["type"] == "DELETED":
            watch.stop()
    assert seen == [("MODIFIED", {"k": "2"}), ("DELETED", {"k": "2"})]


def test_a_page_of_a_list_continues(core: Any, namespace: str) -> None:
    for name in "abc":
        core.create_namespaced_config_map(
            namespace, config_map_manifest(name) | {"metadata": {"name": name, "labels": {"l": "1"}}}
        )
    first = core.list_namespaced_config_map(namespace, label_selector="l=1", limit=2)
    rest = core.list_namespaced_config_map(namespace, label_selector="l=1", limit=2, _continue=first.metadata._continue)
    assert [[item.metadata.name for item in page.items] for page in (first, rest)] == [["a", "b"], ["c"]]


def test_an_informer_has_what_the_server_has(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map_manifest("a", k="1"))
    cached = informer.SharedInformer(core.list_namespaced_config_map, namespace=namespace, label_selector="!absent")
    deleted: list[str] = []
    cached.add_event_handler(informer.DELETED, lambda obj: deleted.append(obj.metadata.name))
    cached.start()
    try:
        wait_until(lambda: cached.cache.get_by_key(f"{namespace}/a"), what="the object in the cache")
        core.patch_namespaced_config_map("a", namespace, {"data": {"k": "2"}})
        wait_until(lambda: cached.cache.get_by_key(f"{namespace}/a").data == {"k": "2"}, what="the change in the cache")
        core.delete_namespaced_config_map("a", namespace)
        wait_until(lambda: deleted == ["a"], what="the deletion")
        assert cached.cache.get_by_key(f"{namespace}/a") is None
    finally:
        core.create_namespaced_config_map(namespace, config_map_manifest("wakes-the-watch"))
        cached.stop()


def test_attach_shows_the_output(core: Any, namespace: str) -> None:
    _start_pod(core, namespace, script="while true; do echo tick; sleep 0.1; done")
    with closing(
        stream(core.connect_get_namespaced_pod_attach, "p", namespace, stdin=True, stdout=True, _preload_content=False)
    ) as session:
        session.write_stdin("ignored\n")
        assert session.readline_stdout(timeout=20) == "tick"


def test_exec_takes_text(core: Any, namespace: str) -> None:
    _start_pod(core, namespace)
    with closing(_exec(core, namespace, "sh", "-c", "read line; echo got $line; echo no >&2; exit 9")) as session:
        session.write_stdin("grüezi\n")
        session.run_forever(timeout=20)
        assert (session.read_stdout(), session.read_stderr()) == ("got grüezi\n", "no\n")
        assert session.returncode == 9


def test_exec_takes_bytes(core: Any, namespace: str) -> None:
    _start_pod(core, namespace)
    content = bytes(range(256)) * 10
    with closing(_exec(core, namespace, "head", "-c", str(len(content)), binary=True)) as session:
        session.write_stdin(content)
        session.run_forever(timeout=20)
        assert session.read_stdout() == content
        assert session.returncode == 0


def test_a_terminal_is_resized_by_text(core: Any, namespace: str) -> None:
    _start_pod(core, namespace)
    with closing(_exec(core, namespace, "sh", "-c", "read line; stty size", stderr=False, tty=True)) as session:
        session.write_channel(4, '{"Width": 101, "Height": 33}')
        session.write_stdin("go\n")
        session.run_forever(timeout=20)
        assert "33 101" in session.read_stdout()


def test_exec_without_streaming_returns_the_output(core: Any, namespace: str) -> None:
    _start_pod(core, namespace)
    assert _exec(core, namespace, "echo", "hello", stdin=False, _preload_content=True) == "hello\n"


def test_logs_are_read_and_followed(core: Any, namespace: str) -> None:
    _start_pod(core, namespace, script="echo one; echo two; read forever < /dev/null; echo three")
    followed = core.read_namespaced_pod_log("p", namespace, follow=True, _preload_content=False)
    assert b"".join(followed.stream()) == b"one\ntwo\nthree\n"
    # Version 36 of the client returns the representation of bytes, "b'three'", without this option.
    assert core.read_namespaced_pod_log("p", namespace, tail_lines=1, _preload_content=False).data == b"three\n"


def test_a_conflicting_apply_is_refused_until_forced(client: Any, namespace: str) -> None:
    resource = dynamic.DynamicClient(client).resources.get(api_version="v1", kind="ConfigMap")

    def apply(value: str, manager: str, **options: Any) -> Any:
        manifest = config_map_manifest("applied", k=value)
        return resource.server_side_apply(body=manifest, namespace=namespace, field_manager=manager, **options)

    apply("1", "one")
    with pytest.raises(dynamic.exceptions.ConflictError) as refused:
        apply("2", "two")
    assert 'conflict with \\"one\\": .data.k' in refused.value.body
    assert apply("2", "two", force_conflicts=True).data.to_dict() == {"k": "2"}


def test_a_custom_resource_is_served_when_its_definition_is(client: Any, namespace: str) -> None:
    definition = definition_manifest("gadgets", "Gadget", "official.example.com")
    kubernetes.utils.create_from_dict(client, definition)
    definitions = kubernetes.client.ApiextensionsV1Api(client)

    def established() -> bool:
        status = definitions.read_custom_resource_definition_status("gadgets.official.example.com").status
        return any(c.type == "Established" and c.status == "True" for c in status.conditions or [])

    wait_until(established, what="the definition to be established")
    custom = kubernetes.client.CustomObjectsApi(client)
    where = ("official.example.com", "v1", namespace, "gadgets")
    body = {"apiVersion": "official.example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}, "spec": {"size": 1}}
    custom.create_namespaced_custom_object(*where, body)
    custom.patch_namespaced_custom_object_status(*where, "g", {"status": {"phase": "Ready"}})
    found = custom.get_namespaced_custom_object(*where, "g")
    assert (found["spec"], found["status"]) == ({"size": 1}, {"phase": "Ready"})
    resource = dynamic.DynamicClient(client).resources.get(api_version="official.example.com/v1", kind="Gadget")
    assert [item.metadata.name for item in resource.get(namespace=namespace).items] == ["g"]


def _holder(core: Any, namespace: str) -> str:
    """The candidate that the lock names, "" before there is one."""
    for item in core.list_namespaced_config_map(namespace, field_selector="metadata.name=lock").items:
        record = json.loads(item.metadata.annotations["control-plane.alpha.kubernetes.io/leader"])
        return str(record["holderIdentity"])
    return ""


def test_a_candidate_takes_over_from_a_leader_that_is_killed(core: Any, namespace: str) -> None:
    command = [sys.executable, str(Path(__file__).parent / "candidate.py"), namespace]
    with (
        subprocess.Popen([*command, "first"], stdout=subprocess.PIPE, text=True) as first,
        subprocess.Popen([*command, "second"], stdout=subprocess.PIPE, text=True) as second,
    ):
        try:
            leader = wait_until(lambda: _holder(core, namespace), what="a leader")
            leading, waiting = (first, second) if leader == "first" else (second, first)
            assert leading.stdout is not None
            assert leading.stdout.readline() == f"{leader} leads\n"
            leading.kill()
            assert waiting.stdout is not None
            successor = "second" if leader == "first" else "first"
            assert waiting.stdout.readline() == f"{successor} leads\n"
            assert _holder(core, namespace) == successor
        finally:
            first.kill()
            second.kill()


def test_base64_with_line_breaks_is_stored_without(core: Any, namespace: str) -> None:
    wrapped = base64.encodebytes(bytes(100)).decode()
    body = kubernetes.client.V1Secret(metadata={"name": "s"}, data={"k": wrapped})
    assert "\n" in wrapped.strip()
    assert base64.b64decode(core.create_namespaced_secret(namespace, body).data["k"], validate=True) == bytes(100)


def test_a_cordoned_node_gets_no_pods(core: Any, namespace: str) -> None:
    core.patch_node(_NODE, {"spec": {"unschedulable": True}})
    try:
        core.create_namespaced_pod(namespace, pod_manifest("p", "true"))

        def unschedulable() -> str:
            conditions = core.read_namespaced_pod("p", namespace).status.conditions or []
            return next((str(c.message) for c in conditions if c.reason == "Unschedulable"), "")

        assert "unschedulable" in wait_until(unschedulable, timeout=10, what="the pod to be unschedulable")
        assert _phase(core, namespace) == "Pending"
    finally:
        core.patch_node(_NODE, {"spec": {"unschedulable": None}})
    wait_until(lambda: _phase(core, namespace) == "Succeeded", what="the pod to run after all")


def test_a_status_that_a_client_overwrites_is_restored(core: Any, namespace: str) -> None:
    _start_pod(core, namespace)
    pod = core.read_namespaced_pod("p", namespace)
    pod.status = kubernetes.client.V1PodStatus(phase="Pending")
    core.replace_namespaced_pod_status("p", namespace, pod)

    def restored() -> bool:
        status = core.read_namespaced_pod("p", namespace).status
        return bool(status.phase == "Running" and status.container_statuses)

    wait_until(restored, timeout=20, what="the status to be restored")


def test_a_pod_has_the_events_of_a_kubelet(client: Any, core: Any, namespace: str) -> None:
    _start_pod(core, namespace)
    core.delete_namespaced_pod("p", namespace)

    def reasons(api: Any) -> set[str]:
        selector = "involvedObject.name=p" if api is core else "regarding.name=p"
        return {event.reason for event in api.list_namespaced_event(namespace, field_selector=selector).items}

    # The client refuses events without an eventTime, which a kubelet does not set.
    client.configuration.client_side_validation = False
    expected = {"Scheduled", "Pulled", "Created", "Started", "Killing"}
    wait_until(lambda: expected <= reasons(core), timeout=10, what="the events of the pod")
    assert expected <= reasons(kubernetes.client.EventsV1Api(client))


def test_a_pod_that_can_not_run_has_no_waiting_container(core: Any, namespace: str) -> None:
    manifest = pod_manifest("p")
    del manifest["spec"]["containers"][0]["command"]
    core.create_namespaced_pod(namespace, manifest)
    wait_until(lambda: _phase(core, namespace) == "Failed", what="the pod to fail")
    status = core.read_namespaced_pod("p", namespace).status
    assert status.reason
    assert status.message
    assert [c for c in status.container_statuses or [] if c.state.waiting] == []

    def warnings() -> list[Any]:
        return list(core.list_namespaced_event(namespace, field_selector="involvedObject.name=p,type=Warning").items)

    assert wait_until(warnings, timeout=10, what="the warning")


def test_a_new_namespace_holds_one_config_map(core: Any, namespace: str) -> None:
    wait_until(lambda: core.list_namespaced_config_map(namespace).items, what="a ConfigMap")
    assert [item.metadata.name for item in core.list_namespaced_config_map(namespace).items] == ["kube-root-ca.crt"]


def test_openapi_v2_and_health_checks_are_served(rest: Rest) -> None:
    status, document = rest("GET", "/openapi/v2")
    assert (status, document["swagger"]) == (200, "2.0")
    status, text = rest("GET", "/readyz?verbose")
    assert (status, text) == (200, "[+]ping ok\n[+]etcd ok\nreadyz check passed\n")


def test_an_event_is_written_through_both_groups(core: Any, namespace: str, rest: Rest) -> None:
    path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    about = {"kind": "Pod", "name": "a", "namespace": namespace}
    made = {"metadata": {"name": "a.1"}, "regarding": about, "note": "one", "reason": "Tested", "action": "Test"}
    made |= {"type": "Normal", "eventTime": "2026-01-01T00:00:00.000000Z"}
    made |= {"reportingController": "example.com/test", "reportingInstance": "test-1"}
    status, event = rest("POST", path, made)
    assert (status, event["apiVersion"], event["note"]) == (201, "events.k8s.io/v1", "one")
    stored = core.read_namespaced_event("a.1", namespace)
    assert (stored.involved_object.name, stored.message) == ("a", "one")
    # Events of this group change only in their series.
    assert rest("PUT", f"{path}/a.1", {**event, "note": "two"})[0] == 422
    series = {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}
    assert rest("PUT", f"{path}/a.1", {**event, "series": series})[1]["series"] == series
    assert core.read_namespaced_event("a.1", namespace).series.count == 2
    (found,) = rest("GET", f"{path}?fieldSelector=regarding.name=a")[1]["items"]
    assert found["note"] == "one"
    assert rest("DELETE", f"{path}/a.1")[0] == 200
    assert core.list_namespaced_event(namespace).items == []
