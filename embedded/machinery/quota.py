"""ResourceQuota: what objects use of one, and what is refused when it would be exceeded. Pure.

Counted: `pods`, requests and limits of cpu and memory, `count/<plural>[.<group>]` and the older names of such counts.
Scopes are not evaluated: a quota with scopes counts everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from embedded.machinery.errors import ApiError, Cause, forbidden
from embedded.machinery.quantities import format_quantity, parse_quantity

Json = dict[str, Any]
Amounts = Mapping[str, Decimal]

_TERMINAL = ("Succeeded", "Failed")
# Names of a quota to (list of a container's resources, resource).
_COMPUTE = {
    "cpu": ("requests", "cpu"),
    "memory": ("requests", "memory"),
    "requests.cpu": ("requests", "cpu"),
    "requests.memory": ("requests", "memory"),
    "limits.cpu": ("limits", "cpu"),
    "limits.memory": ("limits", "memory"),
}
_PLAIN_COUNTS = ("configmaps", "secrets", "resourcequotas")


def quota_causes(quota: Json) -> list[Cause]:
    """What is wrong with a quota's limits."""
    found = []
    for name, value in ((quota.get("spec") or {}).get("hard") or {}).items():
        try:
            negative = parse_quantity(value) < 0
        except ValueError as error:
            message = f"Invalid value: {value!r}: {error}"
            found.append(Cause("FieldValueInvalid", f"spec.hard[{name}]", message))
            continue
        if negative:
            message = f'Invalid value: "{value}": must be greater than or equal to 0'
            found.append(Cause("FieldValueInvalid", f"spec.hard[{name}]", message))
    return found


def hard(quota: Json) -> dict[str, Decimal]:
    limits = (quota.get("spec") or {}).get("hard") or {}
    return {name: parse_quantity(value) for name, value in limits.items()}


def pod_amounts(pod: Json) -> dict[str, Decimal]:
    """What one pod takes of each name; nothing of compute once it has ended."""
    amounts = {"count/pods": Decimal(1)}
    if (pod.get("status") or {}).get("phase") in _TERMINAL:
        return amounts
    amounts["pods"] = Decimal(1)
    for name, (side, resource) in _COMPUTE.items():
        amounts[name] = _pod_compute(pod["spec"], side, resource)
    return amounts


def _pod_compute(spec: Json, side: str, resource: str) -> Decimal:
    """Containers and sidecars at once, or the greediest init container beside the sidecars before it."""

    def asked(container: Json) -> Decimal:
        return parse_quantity(((container.get("resources") or {}).get(side) or {}).get(resource, 0))

    sidecars, greediest = Decimal(0), Decimal(0)
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            sidecars += asked(container)
        else:
            greediest = max(greediest, sidecars + asked(container))
    return max(greediest, sidecars + sum((asked(c) for c in spec.get("containers") or []), Decimal(0)))


def object_amounts(resource: str, obj: Json) -> dict[str, Decimal]:
    """What one object of a resource (`plural.group`) takes."""
    if resource == "pods":
        return pod_amounts(obj)
    amounts = {f"count/{resource}": Decimal(1)}
    return {**amounts, resource: Decimal(1)} if resource in _PLAIN_COUNTS else amounts


def used(names: Iterable[str], pods: Callable[[], Iterable[Json]], count: Callable[[str], int]) -> dict[str, Decimal]:
    """What is used of each name. `pods` gives the namespace's pods, `count` the number of objects of a resource."""
    asked = list(names)
    totals: dict[str, Decimal] = {name: Decimal(0) for name in asked}
    if any(name == "pods" or name in _COMPUTE for name in asked):
        for pod in pods():
            for name, amount in pod_amounts(pod).items():
                if name in totals and not name.startswith("count/"):
                    totals[name] += amount
    for name in asked:
        if name.startswith("count/") or name in _PLAIN_COUNTS:
            totals[name] = Decimal(count(name.removeprefix("count/")))
    return totals


def check(
    quotas: Iterable[Json],
    resource: str,
    obj: Json,
    *,
    used_of: Callable[[Iterable[str]], Amounts],
) -> None:
    """Refuse an object that would exceed a quota or does not say what it needs.

    Raises:
        ApiError: 403.
    """
    takes = object_amounts(resource, obj)
    for quota in quotas:
        limits = {name: limit for name, limit in hard(quota).items() if name in takes}
        if not limits:
            continue
        quota_name, name = quota["metadata"]["name"], obj["metadata"]["name"]
        if resource == "pods" and (silent := _unspecified(obj["spec"], limits)):
            raise forbidden(resource, name, "", f"failed quota: {quota_name}: must specify {silent}")
        in_use = used_of(limits)
        over = sorted(n for n, limit in limits.items() if takes[n] and in_use[n] + takes[n] > limit)
        if over:
            raise _exceeded(resource, name, quota_name, over, takes, in_use, limits)


def _unspecified(spec: Json, limits: Amounts) -> str:
    """`requests.cpu for: a,b; …`: what the quota limits and containers don't mention."""
    missing = []
    for name in sorted(set(limits) & set(_COMPUTE)):
        side, resource = _COMPUTE[name]
        names = [
            str(container.get("name"))
            for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
            if resource not in ((container.get("resources") or {}).get(side) or {})
        ]
        if names:
            missing.append(f"{name} for: {','.join(sorted(names))}")
    return "; ".join(missing)


def _exceeded(
    resource: str, name: str, quota: str, over: list[str], takes: Amounts, in_use: Amounts, limits: Amounts
) -> ApiError:
    def told(amounts: Amounts) -> str:
        return ",".join(f"{each}={format_quantity(amounts[each], each)}" for each in over)

    why = f"exceeded quota: {quota}, requested: {told(takes)}, used: {told(in_use)}, limited: {told(limits)}"
    plural, _, group = resource.partition(".")
    return forbidden(plural, name, group, why)
