"""Steps that can never fit a ResourceQuota of their namespace, whatever else runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from controller.pipeline.values.quantity import parse_quantity

Json = Mapping[str, Any]

_RESOURCES = {
    "cpu": ("cpu", "requests.cpu", "limits.cpu"),
    "memory": ("memory", "requests.memory", "limits.memory"),
}
"""What of a step counts against which limits: it asks for as much as it may use."""
_COUNTS = ("pods", "count/pods", "count/jobs.batch")


def find_misfits(definition: Json, quotas: Iterable[Json]) -> list[str]:
    """Why steps of a pipeline can never run, as sentences with the numbers.

    Args:
        quotas: the ResourceQuotas of the namespace. Those with scopes are left out: which pods they are for depends on
            more than the pipeline.
    """
    limits = [
        (str(quota["metadata"]["name"]), name, str(amount))
        for quota in quotas
        if not {"scopes", "scopeSelector"} & set(quota.get("spec") or {})
        for name, amount in ((quota.get("spec") or {}).get("hard") or {}).items()
    ]
    steps = [step for step in definition.get("steps") or () if isinstance(step, dict)]
    found = [
        f"the quota {quota} has {name} {amount}: no step can ever run in the namespace"
        for quota, name, amount in limits
        if name in _COUNTS and _is_zero(amount)
    ]
    for step in steps:
        for quota, name, amount in limits:
            kind = next((each for each, names in _RESOURCES.items() if name in names), None)
            wanted = (step.get("resources") or {}).get(kind) if kind is not None else None
            if wanted is not None and _exceeds(str(wanted), amount):
                found.append(
                    f"the step {step.get('name')} asks for {kind} {wanted}, and the quota {quota} has {name} {amount} "
                    "in all: it can never fit"
                )
    return found


def _is_zero(amount: str) -> bool:
    try:
        return parse_quantity(amount) == 0
    except ValueError:
        return False


def _exceeds(wanted: str, limit: str) -> bool:
    """Whether one quantity is larger; False if that can't be said."""
    try:
        return parse_quantity(wanted) > parse_quantity(limit)
    except ValueError:
        return False
