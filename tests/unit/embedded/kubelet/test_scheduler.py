"""The node accepts a pod, or gives the reason why it can't."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from embedded.kubelet.node import SchedulingState
from embedded.kubelet.scheduler import TOO_MANY_PODS, find_scheduling_failure, unschedulable_message

Json = dict[str, Any]
LABELS = {"kubernetes.io/os": "linux", "disk": "ssd", "cores": "4"}
CAPACITY = {"cpu": Decimal(4), "memory": Decimal(8 << 30)}


def failure_message(*, cordoned: bool = False, taints: Sequence[Json] = (), **spec: Any) -> str:
    given: Json = {"containers": [{"name": "main"}]} | spec
    pod: Json = {"metadata": {"name": "p"}, "spec": given, "status": {}}
    found = find_scheduling_failure(pod, SchedulingState(LABELS, cordoned, taints), CAPACITY)
    return "accepted" if found is None else found.message or "another scheduler"


def refused(*reasons: str) -> str:
    listed = ", ".join(f"1 {reason}" for reason in reasons)
    preemption = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    return f"0/1 nodes are available: {listed}. no new claims to deallocate, {preemption}"


def requesting(**requests: str) -> Json:
    return {"containers": [{"name": "main", "resources": {"requests": requests}}]}


def affinity(*rules: Json) -> Json:
    terms = {"nodeSelectorTerms": [{"matchExpressions": list(rules)}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


def node_field(operator: str, value: str) -> Json:
    terms = [{"matchFields": [{"key": "metadata.name", "operator": operator, "values": [value]}]}]
    return {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    }


UNMATCHED = refused("node(s) didn't match Pod's node affinity/selector")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "accepted"),
        (requesting(cpu="4", memory="8Gi"), "accepted"),
        (requesting(cpu="4001m"), refused("Insufficient cpu")),
        (requesting(cpu="5", memory="9Gi"), refused("Insufficient cpu", "Insufficient memory")),
        ({"nodeSelector": {"disk": "ssd"}}, "accepted"),
        ({"nodeSelector": {"disk": "hdd"}}, UNMATCHED),
        (affinity({"key": "disk", "operator": "In", "values": ["ssd", "hdd"]}), "accepted"),
        (affinity({"key": "disk", "operator": "NotIn", "values": ["ssd"]}), UNMATCHED),
        (affinity({"key": "gpu", "operator": "Exists"}), UNMATCHED),
        (affinity({"key": "gpu", "operator": "DoesNotExist"}), "accepted"),
        (affinity({"key": "cores", "operator": "Gt", "values": ["3"]}), "accepted"),
        (affinity({"key": "cores", "operator": "Lt", "values": ["4"]}), UNMATCHED),
        (affinity({"key": "disk", "operator": "Gt", "values": ["x"]}), UNMATCHED),
        (node_field("In", "embedded"), "accepted"),
        (node_field("NotIn", "embedded"), UNMATCHED),
        (affinity(), UNMATCHED),
        (affinity({}), UNMATCHED),
        (requesting(cpu="much"), "accepted"),
        ({"schedulingGates": [{"name": "later"}]}, "Scheduling is blocked due to non-empty scheduling gates"),
        ({"schedulerName": "another"}, "another scheduler"),
    ],
)
def test_scheduling_failures_have_a_message(spec: Json, message: str) -> None:
    assert failure_message(**spec) == message


CORDONED = refused("node(s) were unschedulable")


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


TAINT = {"key": "dedicated", "value": "ci", "effect": "NoSchedule"}
UNTOLERATED = refused("node(s) had untolerated taint(s)")


@pytest.mark.parametrize(
    ("taint", "tolerations", "message"),
    [
        (TAINT, [], UNTOLERATED),
        ({**TAINT, "effect": "NoExecute"}, [], UNTOLERATED),
        ({**TAINT, "effect": "PreferNoSchedule"}, [], "accepted"),
        (TAINT, [{"operator": "Exists"}], "accepted"),
        (TAINT, [{"key": "dedicated", "operator": "Exists"}], "accepted"),
        (TAINT, [{"key": "dedicated", "value": "ci"}], "accepted"),
        (TAINT, [{"key": "dedicated", "value": "web"}], UNTOLERATED),
        (TAINT, [{"key": "dedicated", "value": "ci", "effect": "NoExecute"}], UNTOLERATED),
        ({**TAINT, "effect": "NoExecute"}, [{"operator": "Exists", "tolerationSeconds": 0}], "accepted"),
    ],
)
def test_a_taint_repels_pods_that_do_not_tolerate_it(taint: Json, tolerations: list[Json], message: str) -> None:
    assert failure_message(taints=[taint], tolerations=tolerations) == message


def test_a_full_node_has_no_victims_for_preemption() -> None:
    message = unschedulable_message(TOO_MANY_PODS)
    assert message.startswith("0/1 nodes are available: 1 Too many pods. ")
    assert message.endswith("1 No preemption victims found for incoming pod.")
