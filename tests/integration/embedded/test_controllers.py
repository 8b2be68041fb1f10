"""Controllers act on objects in the registry: the moment something changes, or when it is time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from embedded.api.scheme import (
    CLUSTER_ROLES,
    CONFIG_MAPS,
    EVENTS,
    JOBS,
    NAMESPACES,
    NODES,
    PODS,
    RESOURCE_QUOTAS,
    SERVICE_ACCOUNTS,
    ObjectRef,
)
from embedded.api.status_errors import ApiError
from embedded.kubelet.node import NODE_NAME
from tests.integration.embedded.conftest import Cluster, shell_container
from tests.support.waiting import LONGEST, wait_until_async

pytestmark = pytest.mark.process_only("about objects, not about containers")

Json = dict[str, Any]


def config_map(name: str, *owners: Json) -> Json:
    references = [{"apiVersion": "v1", "kind": "ConfigMap", **owner} for owner in owners]
    return {"metadata": {"name": name, "ownerReferences": references}}


def reference(obj: Json) -> Json:
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


async def test_a_dependent_with_another_owner_is_kept(cluster: Cluster) -> None:
    first = cluster.registry.create(CONFIG_MAPS, config_map("first"), namespace="default").object
    second = cluster.registry.create(CONFIG_MAPS, config_map("second"), namespace="default").object
    both = config_map("both", reference(first), reference(second))
    cluster.registry.create(CONFIG_MAPS, both, namespace="default")
    cluster.registry.create(CONFIG_MAPS, config_map("one", reference(first)), namespace="default")
    cluster.registry.delete(ObjectRef(CONFIG_MAPS, "default", "first"), propagation="Foreground")
    await cluster.wait_until_deleted("first", CONFIG_MAPS)
    await cluster.wait_until_deleted("one", CONFIG_MAPS)
    assert cluster.registry.find(ObjectRef(CONFIG_MAPS, "default", "both")) is not None
    cluster.registry.delete(ObjectRef(CONFIG_MAPS, "default", "second"))
    await cluster.wait_until_deleted("both", CONFIG_MAPS)


async def test_a_dependent_of_an_unknown_owner_is_deleted(cluster: Cluster) -> None:
    lost = config_map("lost", {"name": "nobody", "uid": "00000000-0000-0000-0000-000000000000"})
    cluster.registry.create(CONFIG_MAPS, lost, namespace="default")
    await cluster.wait_until_deleted("lost", CONFIG_MAPS)


async def test_a_namespace_is_deleted_after_its_content(cluster: Cluster) -> None:
    registry = cluster.registry
    registry.create(NAMESPACES, {"metadata": {"name": "full"}})
    for number in range(250):
        registry.create(CONFIG_MAPS, {"metadata": {"name": f"c{number}"}}, namespace="full")
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [shell_container("main", "exec sleep 60")],
    }
    registry.create(PODS, {"metadata": {"name": "p"}, "spec": spec}, namespace="full")
    await wait_until_async(lambda: registry.get(ObjectRef(PODS, "full", "p"))["status"]["phase"] == "Running")
    assert registry.find(ObjectRef(SERVICE_ACCOUNTS, "full", "default")) is not None
    registry.delete(ObjectRef(NAMESPACES, None, "full"))
    await wait_until_async(lambda: registry.find(ObjectRef(NAMESPACES, None, "full")) is None)
    assert registry.store.resources_in("full") == []


async def test_a_job_over_quota_starts_when_the_quota_has_room(cluster: Cluster) -> None:
    registry = cluster.registry
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
    registry.create(RESOURCE_QUOTAS, quota, namespace="default")
    await cluster.wait_for(lambda q: (q.get("status") or {}).get("hard"), "q", RESOURCE_QUOTAS)
    cluster.job("exec sleep 60", "first")
    await cluster.wait_for(lambda job: job["status"].get("ready") == 1, "first", JOBS)
    cluster.job("true", "second")
    selector = "involvedObject.name=second"
    (event,) = await wait_until_async(lambda: registry.list(EVENTS, "default", field_selector=selector))
    assert (event["reason"], event["type"]) == ("FailedCreate", "Warning")
    assert "exceeded quota" in event["message"]
    assert "active" not in registry.get(ObjectRef(JOBS, "default", "second"))["status"]
    registry.delete(ObjectRef(JOBS, "default", "first"), propagation="Background")
    (pod,) = registry.list(PODS)
    registry.delete(ObjectRef(PODS, "default", pod["metadata"]["name"]), grace_period=1)
    await cluster.wait_for(lambda job: job["status"].get("succeeded") == 1, "second", JOBS)
    events = await cluster.wait_for_events("Completed", name="second")
    assert sorted(event["reason"] for event in events) == ["Completed", "FailedCreate", "SuccessfulCreate"]


async def test_a_finished_job_is_deleted_after_its_ttl(cluster: Cluster) -> None:
    cluster.job("true", ttlSecondsAfterFinished=0)
    await cluster.wait_until_deleted("j", JOBS)
    await wait_until_async(lambda: not cluster.registry.list(PODS))


async def test_deleted_succeeded_pods_still_count_for_their_job(cluster: Cluster) -> None:
    cluster.job("exit 0", completions=3, parallelism=1)
    removed: set[str] = set()
    async with asyncio.timeout(LONGEST):
        while not (job := cluster.registry.get(ObjectRef(JOBS, "default", "j")))["status"].get("completionTime"):
            for pod in cluster.registry.list(PODS):
                if pod["status"]["phase"] == "Succeeded":
                    try:
                        cluster.registry.delete(ObjectRef(PODS, "default", pod["metadata"]["name"]))
                    except ApiError:
                        continue
                    removed.add(pod["metadata"]["name"])
            await asyncio.sleep(0)
    assert job["status"]["succeeded"] == 3
    assert "failed" not in job["status"]
    assert len(removed) >= 2


async def test_each_pod_end_counts_once_and_has_one_event(cluster: Cluster) -> None:
    cluster.job(
        "test $JOB_COMPLETION_INDEX != 1",
        completionMode="Indexed",
        completions=3,
        parallelism=3,
        backoffLimitPerIndex=0,
        backoffLimit=9,
    )
    job = await cluster.wait_for(
        lambda job: (job["status"].get("conditions") or [{}])[-1].get("type") == "Failed", "j", JOBS
    )
    status = job["status"]
    assert (status["succeeded"], status["failed"]) == (2, 1)
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1")
    assert status["conditions"][-1]["reason"] == "FailedIndexes"
    assert [pod["metadata"].get("finalizers") for pod in cluster.registry.list(PODS)] == [None] * 3
    events = await cluster.wait_for_events("FailedIndexes", name="j")
    (event,) = [event for event in events if event["reason"] == "FailedIndexes"]
    assert event["count"] == 1


async def test_a_pod_of_a_deleted_job_loses_its_finalizer(cluster: Cluster) -> None:
    cluster.job("exec sleep 60")
    await cluster.wait_for(lambda job: job["status"].get("ready") == 1, "j", JOBS)
    (pod,) = cluster.registry.list(PODS)
    assert pod["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
    cluster.registry.delete(ObjectRef(JOBS, "default", "j"), propagation="Orphan")
    name = pod["metadata"]["name"]
    await cluster.wait_for(lambda pod: not pod["metadata"].get("finalizers"), name)
    cluster.registry.delete(ObjectRef(PODS, "default", name), grace_period=0)
    await cluster.wait_until_deleted(name)


async def test_an_aggregated_cluster_role_follows_its_parts(cluster: Cluster) -> None:
    labels, rule = {"part": "yes"}, {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    selector = {"clusterRoleSelectors": [{"matchLabels": labels}]}
    cluster.registry.create(CLUSTER_ROLES, {"metadata": {"name": "all"}, "aggregationRule": selector})
    cluster.registry.create(CLUSTER_ROLES, {"metadata": {"name": "part", "labels": labels}, "rules": [rule]})
    await wait_until_async(
        lambda: cluster.registry.get(ObjectRef(CLUSTER_ROLES, None, "all")).get("rules") == [rule], 10
    )
    cluster.registry.delete(ObjectRef(CLUSTER_ROLES, None, "part"))
    await wait_until_async(lambda: not cluster.registry.get(ObjectRef(CLUSTER_ROLES, None, "all")).get("rules"))


async def _taint(cluster: Cluster, *taints: Json) -> None:
    await cluster.wait_for_node()
    cluster.registry.patch(ObjectRef(NODES, None, NODE_NAME), {"spec": {"taints": list(taints) or None}})


async def test_a_taint_evicts_pods_that_do_not_tolerate_it(cluster: Cluster) -> None:
    cluster.pod("exec sleep 60", "evicted", more={"terminationGracePeriodSeconds": 1})
    stays = [{"key": "maintenance", "operator": "Exists"}]
    cluster.pod("exec sleep 60", "stays", more={"tolerations": stays})
    for name in ("evicted", "stays"):
        await cluster.wait_for(lambda pod: pod["status"]["phase"] == "Running", name)
    await _taint(cluster, {"key": "maintenance", "effect": "NoExecute"})
    await cluster.wait_until_deleted("evicted")
    events = await cluster.wait_for_events("TaintManagerEviction", "Killing")
    messages = {event["message"] for event in events if event["reason"] == "TaintManagerEviction"}
    assert messages == {"Marking for deletion Pod default/evicted"}
    assert cluster.registry.get(ObjectRef(PODS, "default", "stays"))["status"]["phase"] == "Running"


async def test_a_pod_stays_for_the_seconds_that_it_tolerates(cluster: Cluster) -> None:
    tolerations = [{"key": "maintenance", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}]
    cluster.pod("exec sleep 60", more={"tolerations": tolerations, "terminationGracePeriodSeconds": 1})
    await cluster.wait_for(lambda pod: pod["status"]["phase"] == "Running")
    tainted = asyncio.get_running_loop().time()
    await _taint(cluster, {"key": "maintenance", "effect": "NoExecute"})
    pod = await cluster.wait_for(lambda pod: "deletionTimestamp" in pod["metadata"])
    assert asyncio.get_running_loop().time() - tainted >= 1
    conditions = {condition["type"]: condition["reason"] for condition in pod["status"]["conditions"][-1:]}
    assert conditions == {"DisruptionTarget": "DeletionByTaintManager"}


async def test_a_tainted_node_starts_pods_when_the_taint_is_gone(cluster: Cluster) -> None:
    await _taint(cluster, {"key": "dedicated", "value": "other", "effect": "NoSchedule"})
    cluster.pod("true")
    waiting = await cluster.wait_for(lambda pod: pod["status"].get("conditions"))
    (condition,) = waiting["status"]["conditions"]
    assert (condition["reason"], waiting["status"]["phase"]) == ("Unschedulable", "Pending")
    assert "1 node(s) had untolerated taint(s)" in condition["message"]
    await _taint(cluster)
    assert (await cluster.wait_until_finished())["status"]["phase"] == "Succeeded"


async def test_a_cordoned_node_has_the_taint_of_a_real_one(cluster: Cluster) -> None:
    await cluster.wait_for_node()
    node = ObjectRef(NODES, None, NODE_NAME)
    cluster.registry.patch(node, {"spec": {"unschedulable": True}})

    def taints() -> list[Json]:
        return cluster.registry.get(node)["spec"].get("taints") or []

    (taint,) = await wait_until_async(taints)
    assert (taint["key"], taint["effect"]) == ("node.kubernetes.io/unschedulable", "NoSchedule")
    cluster.registry.patch(node, {"spec": {"unschedulable": None}})
    await wait_until_async(lambda: not taints())
