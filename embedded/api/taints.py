"""Whether a pod's tolerations match a node's taints, by the rules of `k8s.io/component-helpers`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from embedded.types import JsonObject

UNSCHEDULABLE_TAINT: JsonObject = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
"""That of a cordoned node."""


def tolerates(toleration: JsonObject, taint: JsonObject) -> bool:
    """Whether a toleration matches a taint; without an effect, key or operator it matches every effect or key."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return operator == "Equal" and (toleration.get("value") or "") == (taint.get("value") or "")


def find_untolerated(
    tolerations: Sequence[JsonObject], taints: Iterable[JsonObject], effects: Sequence[str]
) -> JsonObject | None:
    """The first taint with one of these effects that no toleration matches; None if there is none."""
    for taint in taints:
        if taint.get("effect") in effects and not any(tolerates(each, taint) for each in tolerations):
            return taint
    return None


def seconds_tolerated(tolerations: Sequence[JsonObject], taints: Iterable[JsonObject]) -> float | None:
    """How long a pod may stay on a node with these NoExecute taints: 0 if it must go at once; None for ever."""
    shortest: float | None = None
    for taint in taints:
        if taint.get("effect") != "NoExecute":
            continue
        matching = [each for each in tolerations if tolerates(each, taint)]
        if not matching:
            return 0.0
        for each in matching:
            if (seconds := each.get("tolerationSeconds")) is not None:
                shortest = max(0.0, seconds) if shortest is None else min(shortest, max(0.0, seconds))
    return shortest
