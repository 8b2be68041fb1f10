"""Decides whether the one node can run a pod at all, as a scheduler does. Pure.

The resources of other pods do not count: pods share the machine, and the kubelet limits how many run at once.
Of the taints, only the one of a cordoned node counts, with its toleration: the node has no others.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from embedded.validation.quota import pod_usage

Json = dict[str, Any]

SCHEDULER_NAME = "default-scheduler"

_CORDON_TAINT = "node.kubernetes.io/unschedulable"


@dataclass(frozen=True)
class SchedulingFailure:
    """Why a pod stays without a node: reason and message of its condition PodScheduled.

    Both are empty for pods of another scheduler, which nothing handles here.
    """

    reason: str = ""
    message: str = ""


def find_scheduling_failure(
    pod: Json, labels: Mapping[str, str], capacity: Mapping[str, Decimal], *, cordoned: bool = False
) -> SchedulingFailure | None:
    """Why the node does not accept a pod; None if it does.

    Args:
        labels: of the node.
        capacity: of the node, in cores and bytes.
        cordoned: whether the node's `spec.unschedulable` is set.
    """
    spec = pod["spec"]
    if spec.get("schedulerName", SCHEDULER_NAME) != SCHEDULER_NAME:
        return SchedulingFailure()
    if spec.get("schedulingGates"):
        return SchedulingFailure("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
    if cordoned and not any(_tolerates_cordon(each) for each in spec.get("tolerations") or []):
        return SchedulingFailure("Unschedulable", "0/1 nodes are available: 1 node(s) were unschedulable.")
    if not _matches_node(spec, labels):
        mismatch = "node(s) didn't match Pod's node affinity/selector"
        return SchedulingFailure("Unschedulable", f"0/1 nodes are available: 1 {mismatch}.")
    amounts: dict[str, Decimal] = {}
    # The API rejects invalid quantities; one that got through must not stop the kubelet.
    with suppress(ValueError, ArithmeticError):
        amounts = pod_usage(pod)
    short = [name for name in ("cpu", "memory") if amounts.get(f"requests.{name}", Decimal(0)) > capacity[name]]
    if short:
        missing = ", ".join(f"1 Insufficient {name}" for name in short)
        return SchedulingFailure("Unschedulable", f"0/1 nodes are available: {missing}.")
    return None


def _tolerates_cordon(toleration: Json) -> bool:
    """Whether a toleration matches the taint `node.kubernetes.io/unschedulable:NoSchedule`, whose value is empty."""
    if toleration.get("effect") not in (None, "", "NoSchedule"):
        return False
    key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
    if operator == "Exists":
        return key in ("", _CORDON_TAINT)
    return operator == "Equal" and key == _CORDON_TAINT and not toleration.get("value")


def _matches_node(spec: Json, labels: Mapping[str, str]) -> bool:
    if any(labels.get(name) != value for name, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(_matches_term(term, labels) for term in required.get("nodeSelectorTerms") or [])


def _matches_term(term: Json, labels: Mapping[str, str]) -> bool:
    """Whether a node selector term matches; an empty term matches no node."""
    rules = [(rule, labels.get(str(rule.get("key")))) for rule in term.get("matchExpressions") or []]
    rules += [(rule, labels.get("kubernetes.io/hostname")) for rule in term.get("matchFields") or []]
    return bool(rules) and all(_matches_requirement(rule, value) for rule, value in rules)


def _matches_requirement(rule: Json, value: str | None) -> bool:
    operator, values = str(rule.get("operator")), [str(value) for value in rule.get("values") or []]
    if operator in ("In", "NotIn"):
        return bool((value in values) == (operator == "In"))
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == (operator == "Exists")
    if value is None or not value.lstrip("-").isdigit() or len(values) != 1 or not values[0].lstrip("-").isdigit():
        return False
    return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
