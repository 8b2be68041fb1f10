"""What a schema in a custom resource definition must be: structural, its defaults fit and its rules can be read."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from embedded.api.field_errors import forbidden, invalid, not_supported, required
from embedded.api.status_errors import FieldError
from embedded.crd import schema_validation, structural
from embedded.crd.cel_rules import VARIABLES
from embedded.types import JsonObject

_KINDS = ("array", "boolean", "integer", "number", "object", "string")
_LIST_TYPES = ("atomic", "set", "map")
_MAP_TYPES = ("atomic", "granular")
_PRESERVE, _INT_OR_STRING = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"
_FIELD_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("type", "format", "pattern", "x-kubernetes-list-type", "x-kubernetes-map-type"), (str,)),
    **dict.fromkeys(("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"), (int,)),
    **dict.fromkeys(("maximum", "minimum", "multipleOf"), (float, int)),
    **dict.fromkeys(("enum", "required", "allOf", "anyOf", "oneOf", "x-kubernetes-validations"), (list,)),
    **dict.fromkeys(("properties", "items", "not"), (dict,)),
    "additionalProperties": (dict, bool),
    "x-kubernetes-list-map-keys": (list,),
}
_REASONS = ("FieldValueRequired", "FieldValueForbidden", "FieldValueInvalid", "FieldValueDuplicate")


def validate_schema(schema: JsonObject, at: str) -> Iterator[FieldError]:
    """What is wrong with the schema of one version; `at` is where it is."""
    if wrong := next(_validate_shape(schema, at), None):
        yield wrong
        return
    kind = schema.get("type")
    if not kind:
        yield required(f"{at}.type", "must not be empty at the root")
    elif kind != "object":
        yield invalid(f"{at}.type", kind, "must be object at the root")
    metadata = (schema.get("properties") or {}).get("metadata") or {}
    for field in metadata:
        if field not in ("type", "description", "properties"):
            why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            yield forbidden(f"{at}.properties[metadata]", why)
    yield from _validate_node(schema, at, root=True)


def _validate_shape(schema: Any, at: str) -> Iterator[FieldError]:
    """What is of a type that no schema can be read from."""
    if not isinstance(schema, dict):
        yield invalid(at, schema, "must be a schema")
        return
    for field, kinds in _FIELD_TYPES.items():
        value = schema.get(field)
        if value is not None and not isinstance(value, kinds):
            yield invalid(f"{at}.{field}", value, f"must be of type {kinds[0].__name__}")
            return
    for field in ("required", "x-kubernetes-list-map-keys"):
        if any(not isinstance(name, str) for name in schema.get(field) or ()):
            yield invalid(f"{at}.{field}", schema[field], "must be a list of names")
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        texts = ("rule", "message", "messageExpression", "reason", "fieldPath")
        if not isinstance(rule, dict) or any(not isinstance(rule.get(field, ""), str) for field in texts):
            yield invalid(f"{at}.x-kubernetes-validations[{index}]", rule, "must be a rule")
    for name, sub in (schema.get("properties") or {}).items():
        yield from _validate_shape(sub, f"{at}.properties[{name}]")
    for field in ("allOf", "anyOf", "oneOf"):
        for index, sub in enumerate(schema.get(field) or ()):
            yield from _validate_shape(sub, f"{at}.{field}[{index}]")
    for field in ("items", "not", "additionalProperties"):
        if schema.get(field) is not None and not isinstance(schema[field], bool):
            yield from _validate_shape(schema[field], f"{at}.{field}")


def _validate_node(schema: JsonObject, at: str, *, root: bool = False) -> Iterator[FieldError]:
    own = list(_validate_node_fields(schema, at, root))
    yield from own
    if not own and "default" in schema:
        yield from _validate_default(schema, at)
    for name, sub in (schema.get("properties") or {}).items():
        if not (root and name == "metadata"):
            yield from _validate_node(sub, f"{at}.properties[{name}]")
    items, more = schema.get("items"), schema.get("additionalProperties")
    if schema.get("type") == "array" and not isinstance(items, dict):
        yield required(f"{at}.items", "must be specified")
    if isinstance(items, dict):
        yield from _validate_node(items, f"{at}.items")
    if isinstance(more, dict):
        yield from _validate_node(more, f"{at}.additionalProperties")
        if schema.get("properties"):
            yield forbidden(f"{at}.additionalProperties", "additionalProperties and properties are mutual exclusive")


def _validate_node_fields(schema: JsonObject, at: str, root: bool) -> Iterator[FieldError]:
    kind = schema.get("type")
    if not root and not kind and not schema.get(_INT_OR_STRING) and not schema.get(_PRESERVE):
        yield required(f"{at}.type", "must not be empty for specified object fields")
    if kind and kind not in _KINDS:
        yield not_supported(f"{at}.type", kind, _KINDS)
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{at}.uniqueItems", why)
    if schema.get("$ref"):
        yield forbidden(f"{at}.$ref", "$ref is not supported")
    if pattern := schema.get("pattern"):
        # Loaded by those who have such a field.
        from embedded.regex import PatternError, compile_pattern

        try:
            compile_pattern(pattern)
        except PatternError as error:
            yield invalid(f"{at}.pattern", pattern, f"must be a valid regular expression, but isn't: {error}")
    yield from _validate_list_type(schema, at)
    yield from _validate_rules(schema, at)


def _validate_default(schema: JsonObject, at: str) -> Iterator[FieldError]:
    value = copy.deepcopy(schema["default"])
    if structural.prune({"default": value}, {"properties": {"default": schema}}):
        yield invalid(f"{at}.default", schema["default"], "must not have unknown fields")
    for cause in schema_validation.validate_value(value, schema, None, "default"):
        yield FieldError(cause.reason, f"{at}.{cause.field}", cause.message)


def _validate_list_type(schema: JsonObject, at: str) -> Iterator[FieldError]:
    list_type, keys = f"{at}.x-kubernetes-list-type", f"{at}.x-kubernetes-list-map-keys"
    kind, wanted = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    if kind and kind not in _LIST_TYPES:
        yield not_supported(list_type, kind, _LIST_TYPES)
    if kind == "map" and not wanted:
        yield required(keys, "must not be empty if x-kubernetes-list-type is map")
    if wanted and kind != "map":
        yield invalid(list_type, kind or "", "must be map if x-kubernetes-list-map-keys is non-empty")
    items = schema.get("items")
    item: JsonObject = items if isinstance(items, dict) else {}
    properties = item.get("properties") or {}
    for index, key in enumerate(wanted):
        if key not in properties:
            yield invalid(f"{keys}[{index}]", key, "entries must all be names of item properties")
        elif key not in (item.get("required") or ()) and "default" not in properties[key]:
            why = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            yield required(f"{at}.items.properties[{key}].default", why)
    of_map = schema.get("x-kubernetes-map-type")
    if of_map and of_map not in _MAP_TYPES:
        yield not_supported(f"{at}.x-kubernetes-map-type", of_map, _MAP_TYPES)


def _validate_rules(schema: JsonObject, at: str) -> Iterator[FieldError]:
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or []):
        where = f"{at}.x-kubernetes-validations[{index}]"
        if not str(rule.get("rule") or "").strip():
            yield required(f"{where}.rule", "rule is not specified")
        message = rule.get("message")
        if message is not None and not message.strip():
            yield invalid(f"{where}.message", message, "message must be non-empty if specified")
        elif message and "\n" in message.strip():
            yield invalid(f"{where}.message", message, "message must not contain line breaks")
        if (reason := rule.get("reason")) and reason not in _REASONS:
            yield not_supported(f"{where}.reason", reason, _REASONS)
        for field in ("rule", "messageExpression"):
            if rule.get(field) and (why := _compile_error(rule[field])):
                yield invalid(f"{where}.{field}", rule[field], f"compilation failed: ERROR: <input>: {why}")


def _compile_error(expression: str) -> str:
    """Why an expression can't be evaluated on any value; empty when it can on some."""
    # Loaded by those who have rules: it costs every other cluster nothing.
    from embedded.cel import CelError, compile_expression

    try:
        compile_expression(expression, VARIABLES)
    except CelError as error:
        return str(error)
    return ""
