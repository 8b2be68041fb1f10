"""ResourceQuota: what objects use of one, and what is refused when it would be exceeded. Pure.

Counted: `pods`, requests and limits of cpu and memory, `count/<plural>[.<group>]` and the older names of such counts.
The scopes of pods are evaluated, but for CrossNamespacePodAffinity, which no pod has here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from embedded.api.field_errors import invalid
from embedded.api.quantity import canonical, format_quantity, parse_quantity
from embedded.api.status_errors import ApiError, Cause, forbidden

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
_SCOPES = (
    *("BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating"),
    "VolumeAttributesClass",
)
_STANDARD = frozenset(
    {
        *("cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage"),
        *("requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "services"),
        *("resourcequotas", "replicationcontrollers", "secrets", "persistentvolumeclaims", "configmaps"),
        *("services.nodeports", "services.loadbalancers"),
    }
)
_PLAIN_COUNTS = ("configmaps", "secrets", "resourcequotas")


def complete(quota: Json) -> None:
    """Write the limits as a real server does, in place."""
    limits = (quota.get("spec") or {}).get("hard") or {}
    for name, amount in limits.items():
        limits[name] = canonical(amount)


def quota_causes(quota: Json, old: Json | None = None) -> list[Cause]:
    """What is wrong with a quota; `old` is what it was before."""
    spec = quota.get("spec") or {}
    found = []
    for name, value in (spec.get("hard") or {}).items():
        at = f"spec.hard[{name}]"
        if "/" not in name and name not in _STANDARD:
            found.append(invalid(at, name, "must be a standard resource for quota"))
        try:
            amount = parse_quantity(value)
        except ValueError as error:
            found.append(invalid(at, value, str(error)))
            continue
        if amount < 0:
            found.append(invalid(at, value, "must be greater than or equal to 0"))
        elif amount != int(amount) and name not in _COMPUTE:
            found.append(invalid(at, value, "must be an integer"))
    found += _scope_causes(spec)
    if old is not None and ((old.get("spec") or {}).get("scopes") or []) != (spec.get("scopes") or []):
        found.append(invalid("spec.scopes", spec.get("scopes"), "field is immutable"))
    return found


def _scope_causes(spec: Json) -> list[Cause]:
    scopes: list[str] = spec.get("scopes") or []
    found: list[Cause] = []
    if any(scope not in _SCOPES for scope in scopes):
        found.append(invalid("spec.scopes", scopes, "unsupported scope"))
    conflicting = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
    found += [invalid("spec.scopes", scopes, "conflicting scopes") for pair in conflicting if set(pair) <= set(scopes)]
    if scopes and any(not _about_pods(name) for name in spec.get("hard") or {}):
        found.append(invalid("spec.scopes", scopes, "unsupported scope applied to resource"))
    for index, expression in enumerate((spec.get("scopeSelector") or {}).get("matchExpressions") or []):
        at = f"spec.scopeSelector.matchExpressions[{index}]"
        if expression.get("scopeName") not in _SCOPES:
            found.append(invalid(f"{at}.scopeName", expression.get("scopeName"), "unsupported scope"))
        if expression.get("operator") not in ("In", "NotIn", "Exists", "DoesNotExist"):
            found.append(invalid(f"{at}.operator", expression.get("operator"), "not a valid selector operator"))
    return found


def _about_pods(name: str) -> bool:
    return name in ("pods", "count/pods") or name in _COMPUTE


def in_scope(quota: Json, resource: str, obj: Json) -> bool:
    """Whether a quota counts an object at all: one with scopes counts only the pods that are in each of them."""
    spec = quota.get("spec") or {}
    expressions = (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    wanted: list[tuple[str, str, list[str]]] = [*((scope, "Exists", []) for scope in spec.get("scopes") or [])]
    wanted += [(e["scopeName"], e["operator"], e.get("values") or []) for e in expressions]
    if not wanted:
        return True
    return resource == "pods" and all(_in_one(obj, *scope) for scope in wanted)


def _in_one(pod: Json, scope: str, operator: str, values: list[str]) -> bool:
    spec = pod.get("spec") or {}
    if scope == "PriorityClass":
        name = spec.get("priorityClassName") or ""
        return {
            "Exists": bool(name),
            "DoesNotExist": not name,
            "In": name in values,
            "NotIn": name not in values,
        }[operator]
    terminating = spec.get("activeDeadlineSeconds") is not None
    best_effort = (pod.get("status") or {}).get("qosClass") == "BestEffort"
    return {
        "Terminating": terminating,
        "NotTerminating": not terminating,
        "BestEffort": best_effort,
        "NotBestEffort": not best_effort,
    }.get(scope, False)


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
    used_of: Callable[[Iterable[str], Json], Amounts],
) -> None:
    """Refuse an object that would exceed a quota or does not say what it needs.

    Raises:
        ApiError: 403.
    """
    takes = object_amounts(resource, obj)
    for quota in quotas:
        limits = {name: limit for name, limit in hard(quota).items() if name in takes}
        if not limits or not in_scope(quota, resource, obj):
            continue
        quota_name, name = quota["metadata"]["name"], obj["metadata"]["name"]
        if resource == "pods" and (silent := _unspecified(obj["spec"], limits)):
            raise forbidden(resource, name, "", f"failed quota: {quota_name}: must specify {silent}")
        in_use = used_of(limits, quota)
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
