"""Validation of taints, tolerations, node selectors and node affinity, by `pkg/apis/core/validation`."""

from __future__ import annotations

from embedded.api.field_errors import duplicate, forbidden, invalid, not_supported, required
from embedded.api.names import validate_label_value, validate_labels, validate_qualified_name
from embedded.api.status_errors import FieldError
from embedded.types import JsonObject

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_IGNORED = "IgnoredDuringExecution"


def validate_node(node: JsonObject) -> list[FieldError]:
    """Validate the taints of a node."""
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate((node.get("spec") or {}).get("taints") or []):
        path = f"spec.taints[{index}]"
        key, effect = taint.get("key") or "", taint.get("effect") or ""
        if detail := validate_qualified_name(key):
            errors.append(invalid(f"{path}.key", key, detail))
        if detail := validate_label_value(taint.get("value") or ""):
            errors.append(invalid(f"{path}.value", taint["value"], detail))
        errors += _validate_effect(effect, f"{path}.effect", may_be_empty=False)
        if (key, effect) in seen:
            errors.append(duplicate(path, taint))
        seen.add((key, effect))
    return errors


def validate_pod_scheduling(spec: JsonObject, path: str) -> list[FieldError]:
    """Validate what of a pod's spec a scheduler reads."""
    errors = validate_labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    for index, toleration in enumerate(spec.get("tolerations") or []):
        errors += _validate_toleration(toleration, f"{path}.tolerations[{index}]")
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    field = f"{path}.affinity.nodeAffinity"
    if (needed := affinity.get(f"requiredDuringScheduling{_IGNORED}")) is not None:
        field_path = f"{field}.requiredDuringScheduling{_IGNORED}.nodeSelectorTerms"
        if not needed.get("nodeSelectorTerms"):
            errors.append(required(field_path, "must have at least one node selector term"))
        for index, term in enumerate(needed.get("nodeSelectorTerms") or []):
            errors += _validate_term(term, f"{field_path}[{index}]")
    for index, preferred in enumerate(affinity.get(f"preferredDuringScheduling{_IGNORED}") or []):
        field_path = f"{field}.preferredDuringScheduling{_IGNORED}[{index}]"
        weight = preferred.get("weight") or 0
        if not 1 <= weight <= 100:
            errors.append(invalid(f"{field_path}.weight", weight, "must be in the range 1-100"))
        errors += _validate_term(preferred.get("preference") or {}, f"{field_path}.preference")
    return errors


def _validate_effect(effect: str, path: str, *, may_be_empty: bool) -> list[FieldError]:
    if not effect:
        return [] if may_be_empty else [required(path)]
    return [] if effect in _EFFECTS else [not_supported(path, effect, _EFFECTS)]


def _validate_toleration(toleration: JsonObject, path: str) -> list[FieldError]:
    errors = []
    key, operator, value = (toleration.get(name) or "" for name in ("key", "operator", "value"))
    if key and (detail := validate_qualified_name(key)):
        errors.append(invalid(f"{path}.key", key, detail))
    if not key and operator != "Exists":
        detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.append(invalid(f"{path}.operator", operator, detail))
    if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
        detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(invalid(f"{path}.effect", toleration.get("effect") or "", detail))
    if operator in ("", "Equal"):
        if detail := validate_label_value(value):
            errors.append(invalid(f"{path}.operator", value, detail))
    elif operator != "Exists":
        errors.append(not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    elif value:
        errors.append(invalid(f"{path}.operator", toleration, "value must be empty when `operator` is 'Exists'"))
    return errors + _validate_effect(toleration.get("effect") or "", f"{path}.effect", may_be_empty=True)


def _validate_term(term: JsonObject, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, rule in enumerate(term.get("matchExpressions") or []):
        errors += _validate_requirement(rule, f"{path}.matchExpressions[{index}]")
    for index, rule in enumerate(term.get("matchFields") or []):
        errors += _validate_field_requirement(rule, f"{path}.matchFields[{index}]")
    return errors


def _validate_requirement(rule: JsonObject, path: str) -> list[FieldError]:
    operator, values, errors = rule.get("operator") or "", rule.get("values") or [], []
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden(f"{path}.values", detail))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            errors.append(required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    key = rule.get("key") or ""
    if invalid_key := validate_qualified_name(key):
        errors.append(invalid(f"{path}.key", key, invalid_key))
    return errors


def _validate_field_requirement(rule: JsonObject, path: str) -> list[FieldError]:
    operator, key, errors = rule.get("operator") or "", rule.get("key") or "", []
    if operator not in ("In", "NotIn"):
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif len(rule.get("values") or []) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(required(f"{path}.values", detail))
    if key != "metadata.name":
        errors.append(invalid(f"{path}.key", key, "not a valid field selector key"))
    return errors
