"""What happens to a cluster while runs go on: its nodes are drained, its object store is restarted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import WAIT_SECONDS, Program
from tests.cluster.test_gate import BUSYBOX, steps_of, wait_for
from tests.cluster.test_runs import started
from tests.support.waiting import wait_until

_OVER = ("Succeeded", "Failed", "Cancelled")
MINIO = ("-n", "c8s-system", "deployment/c8s-minio")


@pytest.fixture
def uncordoned(cluster: Program) -> Iterator[None]:
    """Nodes take pods again, whatever the test has left."""
    yield
    for node in cluster.kubectl("get", "nodes", "-o", "name").split():
        cluster.kubectl("uncordon", node, expect=None)


@pytest.mark.usefixtures("uncordoned")
def test_node_that_is_drained_ends_an_attempt_and_no_run(cluster: Program, tmp_path: Path) -> None:
    """Its pods are evicted: the step is tried again, without counting, where there is room; what waits gives way."""
    name = started(
        cluster,
        tmp_path,
        f"{{name: long, {BUSYBOX}, commands: ['echo attempt $C8S_ATTEMPT; [ $C8S_ATTEMPT = 2 ] || sleep 300']}}",
        f"{{name: after, {BUSYBOX}, commands: ['echo after'], dependsOn: [long]}}",
    )
    wait_for(cluster, name, 0, "phase", "Running")
    wait_for(cluster, name, 1, "reason", "WaitingAtGate")
    pod = steps_of(cluster, name)[0]["attempts"][0]["podName"]
    node = cluster.kubectl("get", "pod", pod, "-o", "jsonpath={.spec.nodeName}")
    # Of a cluster with one node all the rest has to stay where it is.
    only = ("--pod-selector", f"c8s.dev/run={name}", "--ignore-daemonsets", "--delete-emptydir-data")
    cluster.kubectl("drain", node, *only, "--timeout=150s")
    nodes = cluster.kubectl("get", "nodes", "-o", "name").split()
    if len(nodes) == 1:
        wait_for(cluster, name, 0, "reason", "Unschedulable")
        wait_for(cluster, name, 1, "reason", "WaitingForSteps")
    cluster.kubectl("uncordon", node)
    wait_until(lambda: cluster.phase(name) in _OVER, 2 * WAIT_SECONDS, what="the end of the run")
    first, second = steps_of(cluster, name)
    assert cluster.phase(name) == "Succeeded"
    assert [attempt["reason"] for attempt in first["attempts"]] == ["Disrupted", "Succeeded"]
    assert len(second["attempts"]) == 1
    for number in (1, 2):
        assert cluster("logs", name, "long", "--attempt", str(number)).stdout.splitlines()[0] == f"attempt {number}"
    assert cluster("logs", name, "after").stdout == "after\n"


def test_restart_of_the_object_store_loses_nothing(cluster: Program, tmp_path: Path) -> None:
    """A step ends while it is away: its artifacts and its log are stored once it is back."""
    if not cluster.kubectl("get", *MINIO, "-o", "name", "--ignore-not-found"):
        pytest.skip("the object store is not in the cluster")
    name = started(
        cluster,
        tmp_path,
        f"{{name: make, {BUSYBOX}, artifacts: [numbers], "
        "commands: ['sleep 10 && seq 1 5000 > numbers && cat numbers']}",
        f"{{name: read, {BUSYBOX}, commands: ['wc -l < numbers'], dependsOn: [make]}}",
    )
    wait_for(cluster, name, 0, "phase", "Running")
    cluster.kubectl("scale", *MINIO, "--replicas=0")
    try:
        wait_until(lambda: _has_told_its_end(cluster, name), WAIT_SECONDS, what="the end of the commands")
        assert steps_of(cluster, name)[1]["phase"] == "Pending", "its artifacts are not there"
    finally:
        cluster.kubectl("scale", *MINIO, "--replicas=1")
        cluster.kubectl("rollout", "status", *MINIO, "--timeout=180s")
    wait_until(lambda: cluster.phase(name) in _OVER, 2 * WAIT_SECONDS, what="the end of the run")
    assert cluster.phase(name) == "Succeeded"
    assert [len(step["attempts"]) for step in steps_of(cluster, name)] == [1, 1]
    assert cluster("logs", name, "make").stdout.split() == [str(number) for number in range(1, 5001)]
    assert cluster("logs", name, "read").stdout.strip() == "5000"


def _has_told_its_end(cluster: Program, name: str) -> bool:
    """Whether the container of the first step has ended, which the kubelet sees without the store."""
    state = "{.items[*].status.containerStatuses[?(@.name=='step')].state.terminated.exitCode}"
    selector = f"c8s.dev/run={name},c8s.dev/step=make"
    return cluster.kubectl("get", "pods", "-l", selector, "-o", f"jsonpath={state}") == "0"
