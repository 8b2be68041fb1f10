"""The node accepts a pod, or gives the reason why it can't."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from embedded.kubelet.scheduler import find_scheduling_failure

Json = dict[str, Any]
LABELS = {"kubernetes.io/os": "linux", "disk": "ssd", "cores": "4"}
CAPACITY = {"cpu": Decimal(4), "memory": Decimal(8 << 30)}


def failure_message(*, cordoned: bool = False, **spec: Any) -> str:
    given: Json = {"containers": [{"name": "main"}]} | spec
    pod: Json = {"metadata": {"name": "p"}, "spec": given, "status": {}}
    found = find_scheduling_failure(pod, LABELS, CAPACITY, cordoned=cordoned)
    return "accepted" if found is None else found.message or "another scheduler"


def requesting(**requests: str) -> Json:
    return {"containers": [{"name": "main", "resources": {"requests": requests}}]}


def affinity(*rules: Json) -> Json:
    terms = {"nodeSelectorTerms": [{"matchExpressions": list(rules)}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


UNMATCHED = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "accepted"),
        (requesting(cpu="4", memory="8Gi"), "accepted"),
        (requesting(cpu="4001m"), "0/1 nodes are available: 1 Insufficient cpu."),
        (requesting(cpu="5", memory="9Gi"), "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory."),
        ({"nodeSelector": {"disk": "ssd"}}, "accepted"),
        ({"nodeSelector": {"disk": "hdd"}}, UNMATCHED),
        (affinity({"key": "disk", "operator": "In", "values": ["ssd", "hdd"]}), "accepted"),
        (affinity({"key": "disk", "operator": "NotIn", "values": ["ssd"]}), UNMATCHED),
        (affinity({"key": "gpu", "operator": "Exists"}), UNMATCHED),
        (affinity({"key": "gpu", "operator": "DoesNotExist"}), "accepted"),
        (affinity({"key": "cores", "operator": "Gt", "values": ["3"]}), "accepted"),
        (affinity({"key": "cores", "operator": "Lt", "values": ["4"]}), UNMATCHED),
        (affinity({"key": "disk", "operator": "Gt", "values": ["x"]}), UNMATCHED),
        (affinity(), UNMATCHED),
        (affinity({}), UNMATCHED),
        (requesting(cpu="much"), "accepted"),
        ({"schedulingGates": [{"name": "later"}]}, "Scheduling is blocked due to non-empty scheduling gates"),
        ({"schedulerName": "another"}, "another scheduler"),
    ],
)
def test_scheduling_failures_have_a_message(spec: Json, message: str) -> None:
    assert failure_message(**spec) == message


CORDONED = "0/1 nodes are available: 1 node(s) were unschedulable."


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, CORDONED),
        ({"nodeSelector": {"disk": "hdd"}}, CORDONED),
        ({"tolerations": [{"operator": "Exists"}]}, "accepted"),
        ({"tolerations": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}, "accepted"),
        ({"tolerations": [{"key": "node.kubernetes.io/unschedulable", "value": "x"}]}, CORDONED),
        (
            {"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoExecute"}]},
            CORDONED,
        ),
        ({"tolerations": [{"key": "another", "operator": "Exists"}]}, CORDONED),
    ],
)
def test_a_cordoned_node_accepts_only_pods_that_tolerate_it(spec: Json, message: str) -> None:
    assert failure_message(cordoned=True, **spec) == message
