"""kopf: an operator with handlers, a timer, events and finalizers does its work, also after it was killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.contract.clients.conftest import Rest
from tests.contract.clients.installed import import_client
from tests.contract.clients.pods import definition_manifest
from tests.support.waiting import wait_until

import_client("kopf")

_FRUITS = "/apis/kopf.example.com/v1/namespaces/{}/fruits"


@pytest.fixture(scope="module")
def _definition(cluster: Any) -> None:
    definition = definition_manifest("fruits", "Fruit", "kopf.example.com")
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    rest = Rest(cluster)
    assert rest("POST", path, definition)[0] == 201

    def is_established() -> bool:
        _, found = rest("GET", f"{path}/fruits.kopf.example.com")
        conditions = found.get("status", {}).get("conditions", [])
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    wait_until(is_established, what="the definition to be established")


@contextmanager
def _operator(namespace: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The operator as a program, until the caller leaves; it prints to `folder/operator.log`."""
    program = str(Path(__file__).parent / "fruit_operator.py")
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "--namespace", namespace, program]
    with (
        (folder / "operator.log").open("ab") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.usefixtures("_definition")
def test_an_operator_acts_on_creation_changes_time_and_deletion(rest: Rest, namespace: str, tmp_path: Path) -> None:
    fruits, config_maps = _FRUITS.format(namespace), f"/api/v1/namespaces/{namespace}/configmaps"
    fruit = {"metadata": {"name": "plum"}, "spec": {"taste": "sour"}}
    with _operator(namespace, tmp_path):
        assert rest("POST", fruits, {"apiVersion": "kopf.example.com/v1", "kind": "Fruit", **fruit})[0] == 201
        planted = wait_until(lambda: _when(rest, f"{fruits}/plum", "phase", "Planted"), what="the status")
        assert planted["status"]["create"] == {"jam": "plum-jam"}
        assert planted["metadata"]["finalizers"] == ["kopf.example.com/finalizer"]
        _, jam = rest("GET", f"{config_maps}/plum-jam")
        assert (jam["data"], jam["metadata"]["ownerReferences"][0]["name"]) == ({"taste": "sour"}, "plum")
        wait_until(lambda: _status(rest, f"{fruits}/plum").get("days", 0) >= 2, what="the timer")
        wait_until(lambda: _replace_spec(rest, f"{fruits}/plum", {"taste": "sweet"}), what="the change")
        wait_until(lambda: rest("GET", f"{config_maps}/plum-jam")[1]["data"] == {"taste": "sweet"}, what="the update")
        rest("DELETE", f"{fruits}/plum")
        wait_until(lambda: rest("GET", f"{fruits}/plum")[0] == 404, what="the fruit to go")
    assert rest("GET", f"{config_maps}/plum-compost")[0] == 200
    wait_until(lambda: rest("GET", f"{config_maps}/plum-jam")[0] == 404, what="the owned object to go")
    messages = _event_messages(rest, namespace, "plum")
    assert "plum was planted" in messages
    assert any("Handler 'create' succeeded" in message for message in messages)


@pytest.mark.usefixtures("_definition")
def test_an_operator_that_was_killed_resumes_a_deletion(rest: Rest, namespace: str, tmp_path: Path) -> None:
    fruits = _FRUITS.format(namespace)
    fruit = {"metadata": {"name": "fig"}, "spec": {"taste": "sweet"}}
    with _operator(namespace, tmp_path):
        assert rest("POST", fruits, {"apiVersion": "kopf.example.com/v1", "kind": "Fruit", **fruit})[0] == 201
        wait_until(lambda: _when(rest, f"{fruits}/fig", "phase", "Planted"), what="the status")
    rest("DELETE", f"{fruits}/fig")
    assert rest("GET", f"{fruits}/fig")[1]["metadata"]["deletionTimestamp"]
    with _operator(namespace, tmp_path):
        wait_until(lambda: rest("GET", f"{fruits}/fig")[0] == 404, what="the fruit to go")
    assert rest("GET", f"/api/v1/namespaces/{namespace}/configmaps/fig-compost")[0] == 200


def _event_messages(rest: Rest, namespace: str, name: str) -> list[str]:
    _, events = rest("GET", f"/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.name%3D{name}")
    return [event["message"] for event in events["items"]]


def _status(rest: Rest, path: str) -> dict[str, Any]:
    _, found = rest("GET", path)
    status: dict[str, Any] = found.get("status", {})
    return status


def _when(rest: Rest, path: str, field: str, value: str) -> dict[str, Any] | None:
    """The object, once a field of its status has a value."""
    _, found = rest("GET", path)
    return found if found.get("status", {}).get(field) == value else None


def _replace_spec(rest: Rest, path: str, spec: dict[str, Any]) -> bool:
    """Replace the spec of the object as it is now; False on a conflict with the operator."""
    _, current = rest("GET", path)
    return rest("PUT", path, {**current, "spec": spec})[0] == 200
