"""Evaluates `x-kubernetes-validations`, the CEL rules of custom resources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from embedded.api.status_errors import FieldError
from embedded.types import JsonObject

if TYPE_CHECKING:
    from embedded.cel import CostBudget

VARIABLES = ("self", "oldSelf")


class RuleBudget:
    """What the rules of one object may cost together; made at its first rule, because most clusters have none.

    Attributes:
        errors: those of the rules so far.
    """

    def __init__(self) -> None:
        self.errors: list[FieldError] = []
        self._cost: CostBudget | None = None

    @property
    def cost(self) -> CostBudget:
        """The budget of the evaluations."""
        if self._cost is None:
            from embedded.cel import CostBudget

            self._cost = CostBudget()
        return self._cost


def validate_rules(
    value: Any, schema: JsonObject, old: Any, path: str, budget: RuleBudget | None = None
) -> Iterator[FieldError]:
    """Errors for the rules that a value violates. Rules with `oldSelf` are skipped when there was no value before."""
    rules = schema.get("x-kubernetes-validations")
    if not rules:
        return
    # Imported at the first rule: most clusters have none.
    from embedded.cel import CelError, compile_expression, extent
    from embedded.cel.values import OptionalValue

    cost = (budget or RuleBudget()).cost
    try:
        cost.charge(extent(value, cost.left) + (0 if old is None else extent(old, cost.left)))
    except CelError as error:
        yield _rule_error(rules[0], value, {}, f"rule evaluation error: {error}", path)
        return
    current, before = _to_cel(value, schema), None if old is None else _to_cel(old, schema)
    for rule in rules:
        text, variables = rule.get("rule", ""), {"self": current}
        if rule.get("optionalOldSelf"):
            variables["oldSelf"] = OptionalValue() if old is None else OptionalValue(before, True)
        elif "oldSelf" in text:
            if old is None:
                continue
            variables["oldSelf"] = before
        try:
            if compile_expression(text, VARIABLES).evaluate(variables, cost) is True:
                continue
            detail = ""
        except CelError as error:
            detail = f"rule evaluation error: {error}"
        yield _rule_error(rule, value, variables, detail, path)


def _rule_error(rule: JsonObject, value: Any, variables: JsonObject, detail: str, at: str) -> FieldError:
    text = detail or _evaluate_message(rule, variables) or rule.get("message") or f"failed rule: {rule['rule'].strip()}"
    # Objects and lists are not displayed.
    displayed = "" if isinstance(value, dict | list) else f": {json.dumps(value, ensure_ascii=False)}"
    reason = rule.get("reason") or "FieldValueInvalid"
    message = {
        "FieldValueRequired": f"Required value: {text}",
        "FieldValueForbidden": f"Forbidden: {text}",
        "FieldValueDuplicate": f"Duplicate value{displayed}",
    }.get(reason, f"Invalid value{displayed}: {text}")
    path = str(rule.get("fieldPath") or "")
    return FieldError(reason, f"{at}{path}" if at else path.removeprefix("."), message)


def _evaluate_message(rule: JsonObject, variables: JsonObject) -> str:
    """The result of the rule's messageExpression; empty when it fails or is not a single line."""
    from embedded.cel import CelError, compile_expression

    if not rule.get("messageExpression"):
        return ""
    try:
        message = compile_expression(rule["messageExpression"], VARIABLES).evaluate(variables)
    except CelError:
        return ""
    return message.strip() if isinstance(message, str) and "\n" not in message else ""


class _CelObject(dict[str, Any]):
    """A JSON object for CEL; a field is converted when a rule first reads it, because most rules read few of many."""

    def __init__(self, value: JsonObject, schema: JsonObject) -> None:
        super().__init__(value)
        additional = schema.get("additionalProperties")
        self._properties: JsonObject = schema.get("properties") or {}
        self._other: JsonObject = additional if isinstance(additional, dict) else {}
        self._unconverted = set(value)

    def __getitem__(self, name: str) -> Any:
        if name in self._unconverted:
            self._unconverted.remove(name)
            self[name] = _to_cel(super().__getitem__(name), self._properties.get(name, self._other))
        return super().__getitem__(name)

    def values(self) -> list[Any]:  # type: ignore[override]
        return [self[name] for name in self]

    def items(self) -> list[tuple[str, Any]]:  # type: ignore[override]
        return [(name, self[name]) for name in self]


def _to_cel(value: Any, schema: JsonObject) -> Any:
    """Convert a JSON value for CEL: numbers, times and durations get the type of their schema."""
    kind, format_name = schema.get("type"), schema.get("format")
    if isinstance(value, dict):
        return _CelObject(value, schema)
    if isinstance(value, list):
        return [_to_cel(item, schema.get("items") or {}) for item in value]
    if kind == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind == "integer" and isinstance(value, float):
        return int(value)
    if kind == "string" and format_name in ("date-time", "duration") and isinstance(value, str):
        from embedded.cel import CelError
        from embedded.cel.functions import to_duration, to_timestamp

        try:
            return to_timestamp(value) if format_name == "date-time" else to_duration(value)
        except CelError:
            return value
    return value
