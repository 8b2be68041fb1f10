"""ResourceQuota: validation, usage, and refusal of objects that exceed a quota.

Counted are `pods`, requests and limits of cpu and memory, `count/<plural>[.<group>]` and older names of such counts.
The scopes of pods are evaluated, except CrossNamespacePodAffinity, which no pod has here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from embedded.api.field_errors import invalid
from embedded.api.quantity import canonical_quantity, format_quantity, parse_quantity
from embedded.api.status_errors import ApiError, FieldError, forbidden
from embedded.types import JsonObject

ResourceList = Mapping[str, Decimal]

_TERMINAL_PHASES = ("Succeeded", "Failed")
# Quota names to (requests or limits, resource).
_COMPUTE_RESOURCES = {
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
_STANDARD_RESOURCES = frozenset(
    {
        *("cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage"),
        *("requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "services"),
        *("resourcequotas", "replicationcontrollers", "secrets", "persistentvolumeclaims", "configmaps"),
        *("services.nodeports", "services.loadbalancers"),
    }
)
_PLAIN_COUNT_NAMES = ("configmaps", "secrets", "resourcequotas")


def canonicalize_limits(quota: JsonObject) -> None:
    """Rewrite the limits in canonical form, in place."""
    limits = (quota.get("spec") or {}).get("hard") or {}
    for name, amount in limits.items():
        limits[name] = canonical_quantity(amount)


def validate_quota(quota: JsonObject, old: JsonObject | None = None) -> list[FieldError]:
    """Validate a quota; `old` is its state before an update."""
    spec = quota.get("spec") or {}
    errors = []
    for name, value in (spec.get("hard") or {}).items():
        path = f"spec.hard[{name}]"
        if "/" not in name and name not in _STANDARD_RESOURCES:
            errors.append(invalid(path, name, "must be a standard resource for quota"))
        try:
            amount = parse_quantity(value)
        except ValueError as error:
            errors.append(invalid(path, value, str(error)))
            continue
        if amount < 0:
            errors.append(invalid(path, value, "must be greater than or equal to 0"))
        elif amount != int(amount) and name not in _COMPUTE_RESOURCES:
            errors.append(invalid(path, value, "must be an integer"))
    errors += _validate_scopes(spec)
    if old is not None and ((old.get("spec") or {}).get("scopes") or []) != (spec.get("scopes") or []):
        errors.append(invalid("spec.scopes", spec.get("scopes"), "field is immutable"))
    return errors


def _validate_scopes(spec: JsonObject) -> list[FieldError]:
    scopes: list[str] = spec.get("scopes") or []
    errors: list[FieldError] = []
    if any(scope not in _SCOPES for scope in scopes):
        errors.append(invalid("spec.scopes", scopes, "unsupported scope"))
    conflicting = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
    errors += [invalid("spec.scopes", scopes, "conflicting scopes") for pair in conflicting if set(pair) <= set(scopes)]
    if scopes and any(not _counts_pods(name) for name in spec.get("hard") or {}):
        errors.append(invalid("spec.scopes", scopes, "unsupported scope applied to resource"))
    for index, expression in enumerate((spec.get("scopeSelector") or {}).get("matchExpressions") or []):
        path = f"spec.scopeSelector.matchExpressions[{index}]"
        if expression.get("scopeName") not in _SCOPES:
            errors.append(invalid(f"{path}.scopeName", expression.get("scopeName"), "unsupported scope"))
        if expression.get("operator") not in ("In", "NotIn", "Exists", "DoesNotExist"):
            errors.append(invalid(f"{path}.operator", expression.get("operator"), "not a valid selector operator"))
    return errors


def _counts_pods(name: str) -> bool:
    return name in ("pods", "count/pods") or name in _COMPUTE_RESOURCES


def in_scope(quota: JsonObject, resource: str, obj: JsonObject) -> bool:
    """Whether a quota counts an object: a quota with scopes counts only the pods that match all of them."""
    spec = quota.get("spec") or {}
    expressions = (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    expected: list[tuple[str, str, list[str]]] = [*((scope, "Exists", []) for scope in spec.get("scopes") or [])]
    expected += [(e["scopeName"], e["operator"], e.get("values") or []) for e in expressions]
    if not expected:
        return True
    return resource == "pods" and all(_matches_scope(obj, *scope) for scope in expected)


def _matches_scope(pod: JsonObject, scope: str, operator: str, values: list[str]) -> bool:
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


def hard_limits(quota: JsonObject) -> dict[str, Decimal]:
    limits = (quota.get("spec") or {}).get("hard") or {}
    return {name: parse_quantity(value) for name, value in limits.items()}


def pod_usage(pod: JsonObject) -> dict[str, Decimal]:
    """What one pod uses of each quota name; a finished pod uses no compute resources."""
    amounts = {"count/pods": Decimal(1)}
    if (pod.get("status") or {}).get("phase") in _TERMINAL_PHASES:
        return amounts
    amounts["pods"] = Decimal(1)
    for name, (side, resource) in _COMPUTE_RESOURCES.items():
        amounts[name] = _pod_compute(pod["spec"], side, resource)
    return amounts


def _pod_compute(spec: JsonObject, side: str, resource: str) -> Decimal:
    """The larger of: all containers and sidecars, or any init container with the sidecars before it."""

    def requested(container: JsonObject) -> Decimal:
        return parse_quantity(((container.get("resources") or {}).get(side) or {}).get(resource, 0))

    sidecars, largest_init = Decimal(0), Decimal(0)
    for container in spec.get("initContainers") or []:
        if container.get("restartPolicy") == "Always":
            sidecars += requested(container)
        else:
            largest_init = max(largest_init, sidecars + requested(container))
    return max(largest_init, sidecars + sum((requested(c) for c in spec.get("containers") or []), Decimal(0)))


def object_usage(resource: str, obj: JsonObject) -> dict[str, Decimal]:
    """What one object of a resource (`plural.group`) uses of each quota name."""
    if resource == "pods":
        return pod_usage(obj)
    amounts = {f"count/{resource}": Decimal(1)}
    return {**amounts, resource: Decimal(1)} if resource in _PLAIN_COUNT_NAMES else amounts


def total_usage(
    names: Iterable[str], pods: Callable[[], Iterable[JsonObject]], count: Callable[[str], int]
) -> dict[str, Decimal]:
    """The usage of each quota name. `pods` returns the pods of the namespace, `count` the number of objects."""
    requested = list(names)
    totals: dict[str, Decimal] = {name: Decimal(0) for name in requested}
    if any(name == "pods" or name in _COMPUTE_RESOURCES for name in requested):
        for pod in pods():
            for name, amount in pod_usage(pod).items():
                if name in totals and not name.startswith("count/"):
                    totals[name] += amount
    for name in requested:
        if name.startswith("count/") or name in _PLAIN_COUNT_NAMES:
            totals[name] = Decimal(count(name.removeprefix("count/")))
    return totals


def check_quotas(
    quotas: Iterable[JsonObject],
    resource: str,
    obj: JsonObject,
    *,
    usage_of: Callable[[Iterable[str], JsonObject], ResourceList],
) -> None:
    """Refuse an object that would exceed a quota, or that lacks requests or limits that a quota counts.

    Raises:
        ApiError: 403.
    """
    takes = object_usage(resource, obj)
    for quota in quotas:
        limits = {name: limit for name, limit in hard_limits(quota).items() if name in takes}
        if not limits or not in_scope(quota, resource, obj):
            continue
        quota_name, name = quota["metadata"]["name"], obj["metadata"]["name"]
        if resource == "pods" and (missing := _missing_requests(obj["spec"], limits)):
            raise forbidden(resource, name, "", f"failed quota: {quota_name}: must specify {missing}")
        in_use = usage_of(limits, quota)
        over = sorted(n for n, limit in limits.items() if takes[n] and in_use[n] + takes[n] > limit)
        if over:
            raise _quota_exceeded_error(resource, name, quota_name, over, takes, in_use, limits)


def _missing_requests(spec: JsonObject, limits: ResourceList) -> str:
    """The requests and limits that containers lack, as `requests.cpu for: a,b; …`."""
    missing = []
    for name in sorted(set(limits) & set(_COMPUTE_RESOURCES)):
        side, resource = _COMPUTE_RESOURCES[name]
        names = [
            str(container.get("name"))
            for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
            if resource not in ((container.get("resources") or {}).get(side) or {})
        ]
        if names:
            missing.append(f"{name} for: {','.join(sorted(names))}")
    return "; ".join(missing)


def _quota_exceeded_error(
    resource: str,
    name: str,
    quota: str,
    over: list[str],
    takes: ResourceList,
    in_use: ResourceList,
    limits: ResourceList,
) -> ApiError:
    def text(amounts: ResourceList) -> str:
        return ",".join(f"{each}={format_quantity(amounts[each], each)}" for each in over)

    detail = f"exceeded quota: {quota}, requested: {text(takes)}, used: {text(in_use)}, limited: {text(limits)}"
    plural, _, group = resource.partition(".")
    return forbidden(plural, name, group, detail)
