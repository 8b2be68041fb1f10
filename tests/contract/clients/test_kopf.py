"""kopf: an operator with handlers, a timer, events and finalizers does its work, also after it was killed."""

from __future__ import annotations

import os
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

# A loaded machine takes long to import what an operator needs.
pytestmark = pytest.mark.timeout(120)
_STARTUP = 60.0

_FRUITS = "/apis/kopf.example.com/v1/namespaces/{}/fruits"


@pytest.fixture(scope="module")
def _definitions(cluster: Any) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    rest = Rest(cluster)

    def is_established(plural: str) -> bool:
        _, found = rest("GET", f"{path}/{plural}.kopf.example.com")
        conditions = found.get("status", {}).get("conditions", [])
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    for plural, kind in (("fruits", "Fruit"), ("berries", "Berry")):
        assert rest("POST", path, definition_manifest(plural, kind, "kopf.example.com"))[0] == 201
        wait_until(lambda plural=plural: is_established(plural), what=f"the definition of {plural} to be established")


@contextmanager
def _operator(
    namespace: str, folder: Path, program: str = "fruit_operator.py", **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A running operator, until the caller leaves. pytest shows what it printed when the test fails."""
    output = folder / "operator.log"
    path = str(Path(__file__).parent / program)
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "--namespace", namespace, path]
    with (
        output.open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **environment}) as process,
    ):
        try:
            wait_until(
                lambda: "authentication has finished" in output.read_text(), _STARTUP, what="the operator to start"
            )
            yield process
        finally:
            process.kill()
            print(output.read_text())


@pytest.mark.usefixtures("_definitions")
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


@pytest.mark.usefixtures("_definitions")
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


@pytest.mark.needs("openssl")
@pytest.mark.usefixtures("_definitions")
def test_an_operator_admits_and_refuses_by_its_webhook(rest: Rest, namespace: str, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True, timeout=30)
    berries = f"/apis/kopf.example.com/v1/namespaces/{namespace}/berries"

    def create(name: str, taste: str) -> tuple[int, Any]:
        metadata = {"apiVersion": "kopf.example.com/v1", "kind": "Berry", "metadata": {"name": name}}
        return rest("POST", berries, {**metadata, "spec": {"taste": taste}})

    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/berries.kopf.example.com"
    with _operator(namespace, tmp_path, "berry_gatekeeper.py", CERTIFICATE=str(certificate), KEY=str(key)):
        wait_until(lambda: rest("GET", path)[1].get("webhooks"), what="the webhook to be configured")
        status, refused = create("sloe", "bitter")
        assert (status, refused["status"]) == (422, "Failure")
        assert refused["message"].endswith("denied the request: bitter berries are not admitted")
        assert create("currant", "sweet")[0] == 201
    assert create("elder", "sweet")[0] == 500


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
