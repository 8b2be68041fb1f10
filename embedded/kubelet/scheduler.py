"""Decides whether the one node can run a pod at all, as a scheduler does. Pure.

The resources of other pods do not count: pods share the machine, and the kubelet limits how many run at once.
The words are those of kube-scheduler 1.36, its filters in their order: the first that refuses a node gives the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from embedded.api.taints import UNSCHEDULABLE_TAINT, find_untolerated, tolerates
from embedded.kubelet.node import SchedulingState
from embedded.validation.quota import pod_usage

Json = dict[str, Any]

SCHEDULER_NAME = "default-scheduler"

TOO_MANY_PODS = "Too many pods"
_NO_VICTIMS = "No preemption victims found for incoming pod"
_NOT_HELPFUL = "Preemption is not helpful for scheduling"
_REPELLING = ("NoSchedule", "NoExecute")


@dataclass(frozen=True)
class SchedulingFailure:
    """Why a pod stays without a node: reason and message of its condition PodScheduled.

    Both are empty for pods of another scheduler, which nothing handles here.
    """

    reason: str = ""
    message: str = ""


def unschedulable_message(*reasons: str) -> str:
    """The message of a scheduler about the one node, that refuses a pod for these reasons."""
    preemption = _NO_VICTIMS if reasons == (TOO_MANY_PODS,) else _NOT_HELPFUL
    listed = ", ".join(f"1 {reason}" for reason in sorted(reasons))
    nodes = "0/1 nodes are available"
    return f"{nodes}: {listed}. no new claims to deallocate, preemption: {nodes}: 1 {preemption}."


def find_scheduling_failure(
    pod: Json, node: SchedulingState, capacity: Mapping[str, Decimal]
) -> SchedulingFailure | None:
    """Why the node does not accept a pod; None if it does.

    Args:
        capacity: of the node, in cores and bytes.
    """
    spec = pod["spec"]
    if spec.get("schedulerName", SCHEDULER_NAME) != SCHEDULER_NAME:
        return SchedulingFailure()
    if spec.get("schedulingGates"):
        return SchedulingFailure("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")
    if reasons := _find_reasons(pod, node, capacity):
        return SchedulingFailure("Unschedulable", unschedulable_message(*reasons))
    return None


def _find_reasons(pod: Json, node: SchedulingState, capacity: Mapping[str, Decimal]) -> list[str]:
    tolerations = pod["spec"].get("tolerations") or []
    if node.cordoned and not any(tolerates(each, UNSCHEDULABLE_TAINT) for each in tolerations):
        return ["node(s) were unschedulable"]
    if find_untolerated(tolerations, node.taints, _REPELLING) is not None:
        return ["node(s) had untolerated taint(s)"]
    if not _matches_node(pod["spec"], node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    amounts: dict[str, Decimal] = {}
    # The API rejects invalid quantities; one that got through must not stop the kubelet.
    with suppress(ValueError, ArithmeticError):
        amounts = pod_usage(pod)
    short = [name for name in ("cpu", "memory") if amounts.get(f"requests.{name}", Decimal(0)) > capacity[name]]
    return [f"Insufficient {name}" for name in short]


def _matches_node(spec: Json, node: SchedulingState) -> bool:
    if any(node.labels.get(name) != value for name, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(_matches_term(term, node) for term in required.get("nodeSelectorTerms") or [])


def _matches_term(term: Json, node: SchedulingState) -> bool:
    """Whether a node selector term matches; an empty term matches no node."""
    rules = [(rule, node.labels.get(str(rule.get("key")))) for rule in term.get("matchExpressions") or []]
    rules += [(rule, node.name) for rule in term.get("matchFields") or []]
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
