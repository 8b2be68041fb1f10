"""Validation of Jobs: selector, template, completion mode and policies. Messages as a real server's."""

from __future__ import annotations

import re
from typing import Any

from embedded.api.field_errors import duplicate, invalid, not_supported, required
from embedded.api.names import validate_labels
from embedded.api.selectors import matches_label_selector
from embedded.api.status_errors import FieldError
from embedded.types import JsonObject
from embedded.validation.defaults import job_labels
from embedded.validation.pod import validate_pod_spec

_RESTART_POLICIES = ("OnFailure", "Never")
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


def validate_job(job: JsonObject) -> list[FieldError]:
    """Validate a Job that has its defaults."""
    spec = job["spec"]
    template = spec["template"]
    labels = template.get("metadata", {}).get("labels") or {}
    errors = validate_job_spec(spec)
    errors += validate_labels(labels, "spec.template.labels")
    path = "spec.template.spec"
    errors += validate_pod_spec(template["spec"], path)
    policy = template["spec"]["restartPolicy"]
    if policy == "":
        errors.append(required(f"{path}.restartPolicy", 'valid values: "OnFailure", "Never"'))
    elif policy not in _RESTART_POLICIES:
        errors.append(not_supported(f"{path}.restartPolicy", policy, _RESTART_POLICIES))
    if spec.get("manualSelector") and not spec.get("selector"):
        errors.append(required("spec.selector"))
    elif not spec.get("manualSelector") and not matches_label_selector(spec["selector"], job_labels(job)):
        errors.append(invalid("spec.selector", spec["selector"], "`selector` not auto-generated"))
    if not spec.get("manualSelector"):
        for label, value in job_labels(job).items():
            if labels.get(label) != value:
                field_path = f"spec.template.metadata.labels[{label}]"
                errors.append(invalid(field_path, labels.get(label), f'must be "{value}"'))
    if not matches_label_selector(spec.get("selector") or {}, labels):
        errors.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    return errors


def validate_job_update(old: JsonObject, new: JsonObject) -> list[FieldError]:
    """Validate the replacement of a Job."""
    errors = validate_job(new)
    if old["spec"].get("selector") != new["spec"].get("selector"):
        errors.append(invalid("spec.selector", new["spec"].get("selector"), "field is immutable"))
    # A real server lets the scheduling fields of a suspended Job's template change; here is only one node.
    if old["spec"].get("template") != new["spec"].get("template"):
        errors.append(invalid("spec.template.spec", new["spec"]["template"].get("spec"), "field is immutable"))
    return errors + validate_job_spec_update(old["spec"], new["spec"])


def validate_job_spec(spec: JsonObject) -> list[FieldError]:
    """Validate a Job's spec without its template."""
    errors = [
        invalid(f"spec.{name}", number, "must be greater than or equal to 0")
        for name in _NON_NEGATIVE_FIELDS
        if (number := spec.get(name)) is not None and (type(number) is not int or number < 0)
    ]
    errors += [
        invalid(f"spec.{name}", number, f"must be less than or equal to {_MAX_INT32}")
        for name in _NON_NEGATIVE_FIELDS
        if name != "activeDeadlineSeconds" and type(number := spec.get(name)) is int and number > _MAX_INT32
    ]
    if errors:
        return errors
    errors += _validate_choice("completionMode", spec.get("completionMode", "NonIndexed"), _COMPLETION_MODES)
    errors += _validate_indexed(spec) if spec.get("completionMode") == "Indexed" else _validate_not_indexed(spec)
    replaced = ("Failed",) if spec.get("podFailurePolicy") else ("Failed", "TerminatingOrFailed")
    errors += _validate_choice("podReplacementPolicy", spec.get("podReplacementPolicy", replaced[0]), replaced)
    errors += _validate_failure_policy(spec)
    errors += _validate_success_policy(spec)
    manager = spec.get("managedBy")
    if manager is not None and (not _MANAGED_BY.fullmatch(manager) or len(manager) > 63):
        errors.append(invalid("spec.managedBy", manager, 'must be a domain-prefixed path (such as "acme.io/foo")'))
    return errors


def validate_job_spec_update(old: JsonObject, new: JsonObject) -> list[FieldError]:
    """Validate the change of a Job's spec: immutable fields, and completions only together with parallelism."""
    fixed = [*_IMMUTABLE_FIELDS]
    if old.get("completionMode") != "Indexed":
        fixed.append("completions")
    errors = [
        invalid(f"spec.{name}", new.get(name), "field is immutable") for name in fixed if old.get(name) != new.get(name)
    ]
    if "completions" not in fixed and old.get("completions") != new.get("completions") != new.get("parallelism"):
        errors.append(
            invalid("spec.completions", new.get("completions"), "can only be modified in tandem with parallelism")
        )
    return errors


def _validate_choice(field: str, value: Any, supported: tuple[str, ...]) -> list[FieldError]:
    return [] if value in supported else [not_supported(f"spec.{field}", value, supported)]


def _validate_indexed(spec: JsonObject) -> list[FieldError]:
    if spec.get("completions") is None:
        return [required("spec.completions", "when completion mode is Indexed")]
    errors = []
    if spec.get("parallelism", 1) > _MAX_INDEXED_PARALLELISM:
        detail = f"must be less than or equal to {_MAX_INDEXED_PARALLELISM} when completion mode is Indexed"
        errors.append(invalid("spec.parallelism", spec["parallelism"], detail))
    most = spec.get("maxFailedIndexes")
    if most is not None and spec.get("backoffLimitPerIndex") is None:
        errors.append(required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if most is not None and most > spec["completions"]:
        errors.append(invalid("spec.maxFailedIndexes", most, "must be less than or equal to completions"))
    return errors


def _validate_not_indexed(spec: JsonObject) -> list[FieldError]:
    fields = ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy")
    detail = "requires indexed completion mode"
    return [invalid(f"spec.{name}", spec[name], detail) for name in fields if spec.get(name) is not None]


def _validate_failure_policy(spec: JsonObject) -> list[FieldError]:
    policy = spec.get("podFailurePolicy")
    if policy is None:
        return []
    errors = []
    template = spec["template"]["spec"]
    if template.get("restartPolicy") not in ("Never", ""):
        detail = 'only "Never" is supported when podFailurePolicy is specified'
        errors.append(invalid("spec.template.spec.restartPolicy", template["restartPolicy"], detail))
    names = {c.get("name") for c in [*(template.get("initContainers") or []), *(template.get("containers") or [])]}
    for number, rule in enumerate(policy.get("rules") or []):
        errors += _validate_failure_rule(spec, rule, f"podFailurePolicy.rules[{number}]", names)
    return errors


def _validate_failure_rule(spec: JsonObject, rule: JsonObject, path: str, containers: set[Any]) -> list[FieldError]:
    errors = _validate_choice(f"{path}.action", rule.get("action", ""), _ACTIONS)
    if rule.get("action") == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        errors.append(invalid(f"spec.{path}.action", "FailIndex", "requires the backoffLimitPerIndex to be set"))
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
    if codes and conditions:
        errors.append(invalid(f"spec.{path}", "", "specifying both OnExitCodes and OnPodConditions is not supported"))
    elif not codes and not conditions:
        errors.append(invalid(f"spec.{path}", "", "specifying one of OnExitCodes and OnPodConditions is required"))
    elif codes:
        errors += _validate_exit_codes(codes, f"{path}.onExitCodes", containers)
    for number, pattern in enumerate(conditions or []):
        if not pattern.get("type"):
            errors.append(required(f"spec.{path}.onPodConditions[{number}].type", "name part must be non-empty"))
        allowed = ("False", "True", "Unknown")
        errors += _validate_choice(f"{path}.onPodConditions[{number}].status", pattern.get("status", "True"), allowed)
    return errors


def _validate_exit_codes(codes: JsonObject, path: str, containers: set[Any]) -> list[FieldError]:
    errors = _validate_choice(f"{path}.operator", codes.get("operator", ""), ("In", "NotIn"))
    name, values = codes.get("containerName"), codes.get("values") or []
    if name is not None and name not in containers:
        detail = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid(f"spec.{path}.containerName", name, detail))
    if not values:
        errors.append(invalid(f"spec.{path}.values", "", "at least one value is required"))
    for number, value in enumerate(values):
        if value == 0 and codes.get("operator") == "In":
            errors.append(invalid(f"spec.{path}.values[{number}]", 0, "must not be 0 for the In operator"))
        if value in values[:number]:
            errors.append(duplicate(f"spec.{path}.values[{number}]", value))
    return errors


def _validate_success_policy(spec: JsonObject) -> list[FieldError]:
    policy = spec.get("successPolicy")
    if policy is None or spec.get("completionMode") != "Indexed":
        return []
    rules, errors = policy.get("rules") or [], []
    if not rules:
        detail = "at least one rules must be specified when the successPolicy is specified"
        errors.append(required("spec.successPolicy.rules", detail))
    for number, rule in enumerate(rules):
        path = f"successPolicy.rules[{number}]"
        if rule.get("succeededCount") is None and rule.get("succeededIndexes") is None:
            detail = "at least one of succeededCount or succeededIndexes must be specified"
            errors.append(required(f"spec.{path}", detail))
            continue
        listed = None
        if (indexes := rule.get("succeededIndexes")) is not None:
            listed = count_indexes(str(indexes), spec.get("completions") or 0)
            if isinstance(listed, str):
                why = f"error parsing succeededIndexes: {listed}"
                errors.append(invalid(f"spec.{path}.succeededIndexes", indexes, why))
        needed = rule.get("succeededCount")
        if isinstance(listed, int) and needed is not None and needed > listed:
            what = "the number of indexes in the specified succeededIndexes field"
            detail = f"must be less than or equal to {listed} ({what})"
            errors.append(invalid(f"spec.{path}.succeededCount", needed, detail))
        elif needed is not None and needed > (spec.get("completions") or 0):
            detail = f"must be less than or equal to {spec.get('completions')} (the number of specified completions)"
            errors.append(invalid(f"spec.{path}.succeededCount", needed, detail))
    return errors


def count_indexes(text: str, completions: int) -> int | str:
    """The number of indexes in a list such as `0,2-4`, or why it is not one, in the words of a real server."""
    total, last = 0, -1
    for interval in text.split(",") if text else ():
        limits = interval.split("-")
        if len(limits) > 2:
            rule = "an index interval can have at most two parts separated by '-'"
            return f'the fragment "{interval}" violates the requirement that {rule}'
        for limit in limits:
            if not (limit.isascii() and limit.isdigit()):
                return f'cannot convert string to integer for index: "{limit}"'
            if int(limit) >= completions:
                return f'too large index: "{limit}"'
        first, end = int(limits[0]), int(limits[-1])
        for previous, current in ((last, first), (first, end)) if len(limits) > 1 else ((last, first),):
            if previous >= current:
                return f"non-increasing order, previous: {previous}, current: {current}"
        total, last = total + end - first + 1, end
    return total
