"""What a Job may ask for beyond its pod: indexes, policies, who manages it. Wording and rules as a real server's."""

from __future__ import annotations

import re
from typing import Any

from embedded.api.status_errors import FieldError

Json = dict[str, Any]

_MAX_INT32 = 2**31 - 1
_MAX_INDEXED_PARALLELISM = 100_000
_COMPLETION_MODES = ("NonIndexed", "Indexed")
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_MANAGED_BY = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9/%:@._~!$&'()*+,;=-]+")
_NON_NEGATIVE_FIELDS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_IMMUTABLE_FIELDS = ("completionMode", "podFailurePolicy", "successPolicy", "managedBy", "backoffLimitPerIndex")


def set_policy_defaults(spec: Json) -> None:
    """Fill in what depends on other fields of a Job's spec, in place."""
    if spec.get("backoffLimitPerIndex") is not None:
        spec.setdefault("backoffLimit", _MAX_INT32)
    if spec.get("podFailurePolicy"):
        spec.setdefault("podReplacementPolicy", "Failed")
        for rule in spec["podFailurePolicy"].get("rules") or []:
            for pattern in rule.get("onPodConditions") or []:
                pattern.setdefault("status", "True")


def validate_job_spec(spec: Json) -> list[FieldError]:
    """What is wrong with a Job's spec, its template aside."""
    found = [
        _invalid(name, number, "must be greater than or equal to 0")
        for name in _NON_NEGATIVE_FIELDS
        if (number := spec.get(name)) is not None and (type(number) is not int or number < 0)
    ]
    found += [
        _invalid(name, number, f"must be less than or equal to {_MAX_INT32}")
        for name in _NON_NEGATIVE_FIELDS
        if name != "activeDeadlineSeconds" and type(number := spec.get(name)) is int and number > _MAX_INT32
    ]
    if found:
        return found
    found += _validate_choice("completionMode", spec.get("completionMode", "NonIndexed"), _COMPLETION_MODES)
    found += _validate_indexed(spec) if spec.get("completionMode") == "Indexed" else _validate_not_indexed(spec)
    replaced = ("Failed",) if spec.get("podFailurePolicy") else ("Failed", "TerminatingOrFailed")
    found += _validate_choice("podReplacementPolicy", spec.get("podReplacementPolicy", replaced[0]), replaced)
    found += _validate_failure_policy(spec)
    found += _validate_success_policy(spec)
    manager = spec.get("managedBy")
    if manager is not None and (not _MANAGED_BY.fullmatch(manager) or len(manager) > 63):
        found.append(_invalid("managedBy", manager, 'must be a domain-prefixed path (such as "acme.io/foo")'))
    return found


def validate_job_spec_update(old: Json, new: Json) -> list[FieldError]:
    """What of a Job's spec may not change as it does."""
    fixed = [*_IMMUTABLE_FIELDS]
    if old.get("completionMode") != "Indexed":
        fixed.append("completions")
    found = [_invalid(name, new.get(name), "field is immutable") for name in fixed if old.get(name) != new.get(name)]
    if "completions" not in fixed and old.get("completions") != new.get("completions") != new.get("parallelism"):
        found.append(_invalid("completions", new.get("completions"), "can only be modified in tandem with parallelism"))
    return found


def _invalid(field: str, value: Any, why: str) -> FieldError:
    shown = f'"{value}"' if isinstance(value, str) else value
    return FieldError("FieldValueInvalid", f"spec.{field}", f"Invalid value: {shown}: {why}")


def _required(field: str, why: str) -> FieldError:
    return FieldError("FieldValueRequired", f"spec.{field}", f"Required value: {why}")


def _validate_choice(field: str, value: Any, allowed: tuple[str, ...]) -> list[FieldError]:
    if value in allowed:
        return []
    supported = ", ".join(f'"{name}"' for name in allowed)
    message = f'Unsupported value: "{value}": supported values: {supported}'
    return [FieldError("FieldValueNotSupported", f"spec.{field}", message)]


def _validate_indexed(spec: Json) -> list[FieldError]:
    if spec.get("completions") is None:
        return [_required("completions", "when completion mode is Indexed")]
    found = []
    if spec.get("parallelism", 1) > _MAX_INDEXED_PARALLELISM:
        why = f"must be less than or equal to {_MAX_INDEXED_PARALLELISM} when completion mode is Indexed"
        found.append(_invalid("parallelism", spec["parallelism"], why))
    most = spec.get("maxFailedIndexes")
    if most is not None and spec.get("backoffLimitPerIndex") is None:
        found.append(_required("backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if most is not None and most > spec["completions"]:
        found.append(_invalid("maxFailedIndexes", most, "must be less than or equal to completions"))
    return found


def _validate_not_indexed(spec: Json) -> list[FieldError]:
    fields = ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy")
    why = "requires indexed completion mode"
    return [_invalid(name, spec[name], why) for name in fields if spec.get(name) is not None]


def _validate_failure_policy(spec: Json) -> list[FieldError]:
    policy = spec.get("podFailurePolicy")
    if policy is None:
        return []
    found = []
    template = spec["template"]["spec"]
    if template.get("restartPolicy") not in ("Never", ""):
        why = 'only "Never" is supported when podFailurePolicy is specified'
        found.append(_invalid("template.spec.restartPolicy", template["restartPolicy"], why))
    names = {c.get("name") for c in [*(template.get("initContainers") or []), *(template.get("containers") or [])]}
    for number, rule in enumerate(policy.get("rules") or []):
        found += _validate_failure_rule(spec, rule, f"podFailurePolicy.rules[{number}]", names)
    return found


def _validate_failure_rule(spec: Json, rule: Json, at: str, containers: set[Any]) -> list[FieldError]:
    found = _validate_choice(f"{at}.action", rule.get("action", ""), _ACTIONS)
    if rule.get("action") == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        found.append(_invalid(f"{at}.action", "FailIndex", "requires the backoffLimitPerIndex to be set"))
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
    if codes and conditions:
        found.append(_invalid(at, "", "specifying both OnExitCodes and OnPodConditions is not supported"))
    elif not codes and not conditions:
        found.append(_invalid(at, "", "specifying one of OnExitCodes and OnPodConditions is required"))
    elif codes:
        found += _validate_exit_codes(codes, f"{at}.onExitCodes", containers)
    for number, pattern in enumerate(conditions or []):
        if not pattern.get("type"):
            found.append(_required(f"{at}.onPodConditions[{number}].type", "name part must be non-empty"))
        allowed = ("False", "True", "Unknown")
        found += _validate_choice(f"{at}.onPodConditions[{number}].status", pattern.get("status", "True"), allowed)
    return found


def _validate_exit_codes(codes: Json, at: str, containers: set[Any]) -> list[FieldError]:
    found = _validate_choice(f"{at}.operator", codes.get("operator", ""), ("In", "NotIn"))
    name, values = codes.get("containerName"), codes.get("values") or []
    if name is not None and name not in containers:
        why = "must be one of the container or initContainer names in the pod template"
        found.append(_invalid(f"{at}.containerName", name, why))
    if not values:
        found.append(_invalid(f"{at}.values", "", "at least one value is required"))
    for number, value in enumerate(values):
        if value == 0 and codes.get("operator") == "In":
            found.append(_invalid(f"{at}.values[{number}]", 0, "must not be 0 for the In operator"))
        if value in values[:number]:
            where = f"spec.{at}.values[{number}]"
            found.append(FieldError("FieldValueDuplicate", where, f"Duplicate value: {value}"))
    return found


def _validate_success_policy(spec: Json) -> list[FieldError]:
    policy = spec.get("successPolicy")
    if policy is None or spec.get("completionMode") != "Indexed":
        return []
    rules, found = policy.get("rules") or [], []
    if not rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        found.append(_required("successPolicy.rules", why))
    for number, rule in enumerate(rules):
        at = f"successPolicy.rules[{number}]"
        if rule.get("succeededCount") is None and rule.get("succeededIndexes") is None:
            why = "at least one of succeededCount or succeededIndexes must be specified"
            found.append(_required(at, why))
        elif (needed := rule.get("succeededCount")) is not None and needed > (spec.get("completions") or 0):
            why = f"must be less than or equal to {spec.get('completions')} (the number of specified completions)"
            found.append(_invalid(f"{at}.succeededCount", needed, why))
    return found
