"""Acknowledged writes survive a kill; stopping is quick and clean."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
import urllib.parse
from pathlib import Path

from tests.contract.embedded.conftest import Api
from tests.support.kubernetes import run_cluster

_PATH = "/api/v1/namespaces/default/configmaps"


def test_objects_and_revisions_survive_sigkill(tmp_path: Path) -> None:
    with run_cluster(tmp_path) as cluster:
        api = Api(cluster)
        made = [api("POST", _PATH, {"metadata": {"name": f"c{number}"}})[1] for number in range(20)]
        os.kill(cluster.pid, signal.SIGKILL)
    with run_cluster(tmp_path) as cluster:
        api = Api(cluster)
        for created in made:
            assert api("GET", f"{_PATH}/{created['metadata']['name']}") == (200, created)
        later = api("POST", _PATH, {"metadata": {"name": "later"}})[1]
        assert int(later["metadata"]["resourceVersion"]) > int(made[-1]["metadata"]["resourceVersion"])
        version = made[-2]["metadata"]["resourceVersion"]
        _, seen = api("GET", f"{_PATH}?watch=true&resourceVersion={version}&timeoutSeconds=1")
        assert [event["object"] for event in seen] == [made[-1], later]


def test_service_account_tokens_survive_a_restart(tmp_path: Path) -> None:
    with run_cluster(tmp_path) as cluster:
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        token = Api(cluster)("POST", path, {"spec": {}})[1]["status"]["token"]
    with run_cluster(tmp_path) as cluster:
        assert Api(cluster)("GET", "/version", token=token)[0] == 200


def test_stopping_the_server_ends_watches(tmp_path: Path) -> None:
    with run_cluster(tmp_path) as cluster:
        place = urllib.parse.urlsplit(cluster.url)
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
        connection.request("GET", f"{_PATH}?watch=true", headers={"Authorization": f"Bearer {cluster.token}"})
        answer = connection.getresponse()
        assert json.loads(answer.readline())["type"] == "ADDED"
        began = time.monotonic()
        os.kill(cluster.pid, signal.SIGTERM)
        answer.read()
        connection.close()
    assert time.monotonic() - began < 30, "a watch would go on for minutes"


def test_manifests_are_applied_before_the_first_request(tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "a.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: given, namespace: extra}\ndata: {a: '1', b: '2'}\n"
        "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: extra}\n"
    )
    path = "/api/v1/namespaces/extra/configmaps/given"
    with run_cluster(tmp_path, "--manifests", str(folder)) as cluster:
        assert Api(cluster)("GET", path)[1]["data"] == {"a": "1", "b": "2"}
    (folder / "a.yaml").unlink()
    changed = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "given", "namespace": "extra"}}
    (folder / "b.json").write_text(json.dumps(changed | {"data": {"a": "3"}}))
    with run_cluster(tmp_path, "--manifests", str(folder)) as cluster:
        assert Api(cluster)("GET", path)[1]["data"] == {"a": "3"}
