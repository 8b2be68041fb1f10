"""pykube-ng, which sends bodies without a Content-Type: create, patch, watch, logs, delete with options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contract.clients.installed import import_client
from tests.contract.clients.pods import config_map_manifest, pod_manifest
from tests.support.waiting import wait_until

pykube = import_client("pykube")


@pytest.fixture
def api(kubeconfig: Path) -> Any:
    return pykube.HTTPClient(pykube.KubeConfig.from_file(str(kubeconfig)))


def _config_map(api: Any, namespace: str, name: str, **data: str) -> Any:
    manifest = config_map_manifest(name, **data)
    manifest["metadata"]["namespace"] = namespace
    return pykube.ConfigMap(api, manifest)


def test_an_object_is_created_updated_and_found(api: Any, namespace: str) -> None:
    made = _config_map(api, namespace, "a", k="1")
    made.create()
    made.obj["data"]["k"] = "2"
    made.labels["tier"] = "db"
    made.update()
    found = pykube.ConfigMap.objects(api, namespace=namespace).filter(selector={"tier__in": {"db", "web"}})
    assert [(each.name, each.obj["data"]) for each in found] == [("a", {"k": "2"})]
    assert pykube.ConfigMap.objects(api, namespace=namespace).get_by_name("a").exists()


def test_an_object_is_deleted_with_options(api: Any, namespace: str) -> None:
    made = _config_map(api, namespace, "a")
    made.create()
    made.delete(propagation_policy="Background")
    assert not made.exists()
    again = _config_map(api, namespace, "a")
    again.create()
    again.delete()
    assert pykube.ConfigMap.objects(api, namespace=namespace).get_or_none(name="a") is None


def test_a_watch_shows_what_happens_to_an_object(api: Any, namespace: str) -> None:
    made = _config_map(api, namespace, "a", k="1")
    made.create()
    seen = []
    for event in made.watch():
        seen.append((event.type, event.object.obj["data"]))
        if event.type == "ADDED":
            made.patch({"data": {"k": "2"}})
        elif event.type == "MODIFIED":
            made.delete()
        else:
            break
    assert seen == [("ADDED", {"k": "1"}), ("MODIFIED", {"k": "2"}), ("DELETED", {"k": "2"})]


def test_a_job_is_created_and_its_pod_read(api: Any, namespace: str) -> None:
    spec = pod_manifest("p", "echo from a job")["spec"]
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "namespace": namespace},
        "spec": {"template": {"spec": spec}},
    }
    job = pykube.Job(api, manifest)
    job.create()

    def is_complete() -> bool:
        job.reload()
        return bool(job.obj.get("status", {}).get("succeeded"))

    wait_until(is_complete, what="the job to complete")
    (pod,) = pykube.Pod.objects(api, namespace=namespace).filter(selector={"job-name": "j"})
    assert pod.logs() == "from a job\n"
    assert pod.logs(tail_lines=1, timestamps=True).endswith("Z from a job\n")


def test_a_table_has_the_columns_of_the_kind(api: Any, namespace: str) -> None:
    _config_map(api, namespace, "a", k="1").create()
    table = pykube.ConfigMap.objects(api, namespace=namespace).filter(field_selector={"metadata.name": "a"}).as_table()
    assert [column["name"] for column in table.columns] == ["Name", "Data", "Age"]
    assert [row["cells"][:2] for row in table.rows] == [["a", 1]]
