"""Whether a step fits into the quota of its namespace and onto the nodes of the cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.pipeline.model import Step
from controller.pipeline.values.quantity import parse_quantity
from controller.run_types.reasons import StepReason

Json = dict[str, Any]

_EXCEEDED = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<requested>\S.*?), "
    r"used: (?P<used>\S.*?), limited: (?P<limited>\S.*)"
)
_KINDS = ("cpu", "memory")


@dataclass(frozen=True)
class QuotaShortage:
    """Why a step's pod is not created. `permanent`: it would not fit even if nothing else ran."""

    reason: StepReason
    message: str
    permanent: bool


def parse_quota_error(message: str) -> QuotaShortage | None:
    """Parses the message of a rejection by a ResourceQuota; None for any other rejection."""
    found = _EXCEEDED.search(message)
    if found is None:
        text = f"waits for quota: {message}"
        return QuotaShortage(StepReason.OVER_QUOTA, text, False) if "exceeded quota" in message else None
    wanted, used, limited = (_parse_amounts(found[part]) for part in ("requested", "used", "limited"))
    name = found["name"].strip()
    for resource, request in wanted.items():
        limit = limited.get(resource)
        if limit is not None and _exceeds(request, limit):
            text = f"it asks for {resource} {request}, and the quota {name} has {limit} in all: it can never fit"
            return QuotaShortage(StepReason.NEVER_FITS, text, True)
    shown = "; ".join(
        f"{resource}: {request} asked for, {used.get(resource, '?')} of {limited.get(resource, '?')} in use"
        for resource, request in wanted.items()
    )
    return QuotaShortage(StepReason.OVER_QUOTA, f"waits for the quota {name}: {shown}", False)


def unschedulable_reason(step: Step, nodes: Sequence[Mapping[str, Any]]) -> str | None:
    """Why no node can ever run the step, with the quantities; None when one can, or no nodes are known."""
    if step.resources is None or not nodes:
        return None
    wanted = {"cpu": step.resources.cpu, "memory": step.resources.memory}
    for kind in _KINDS:
        request = wanted[kind]
        most = _largest([str((node.get("status") or {}).get("allocatable", {}).get(kind, "")) for node in nodes])
        if request and most and _exceeds(request, most):
            owner = "the only node has" if len(nodes) == 1 else f"the largest of {len(nodes)} nodes has"
            return f"it asks for {kind} {request}, and {owner} {most}: it can never be scheduled"
    return None


def _largest(amounts: Sequence[str]) -> str | None:
    """The largest quantity; None when one of them cannot be parsed, so that nothing is concluded."""
    try:
        return max(amounts, key=parse_quantity)
    except ValueError:
        return None


def _exceeds(one: str, other: str) -> bool:
    try:
        return parse_quantity(one) > parse_quantity(other)
    except ValueError:
        return False


def _parse_amounts(text: str) -> dict[str, str]:
    """`requests.cpu=2,pods=1` by resource."""
    parts = (part.strip().partition("=") for part in text.split(","))
    return {resource: value for resource, equals, value in parts if equals}
