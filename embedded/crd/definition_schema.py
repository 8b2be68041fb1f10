"""Validates the schema of a custom resource definition: structural form, defaults, patterns and rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from embedded.api.field_errors import forbidden, invalid, not_supported, required
from embedded.api.status_errors import FieldError
from embedded.crd import schema_validation, structural
from embedded.crd.cel_rules import VARIABLES
from embedded.types import JsonObject, copy_json

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


def validate_schema(schema: JsonObject, path: str) -> Iterator[FieldError]:
    """Validate the schema of one version; `path` is its field path."""
    if wrong := next(_validate_shape(schema, path), None):
        yield wrong
        return
    kind = schema.get("type")
    if not kind:
        yield required(f"{path}.type", "must not be empty at the root")
    elif kind != "object":
        yield invalid(f"{path}.type", kind, "must be object at the root")
    metadata = (schema.get("properties") or {}).get("metadata") or {}
    for field in metadata:
        if field not in ("type", "description", "properties"):
            detail = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            yield forbidden(f"{path}.properties[metadata]", detail)
    yield from _validate_node(schema, path, root=True)


def _validate_shape(schema: Any, path: str) -> Iterator[FieldError]:
    """Check the JSON types of a schema, so that the other checks can rely on them."""
    if not isinstance(schema, dict):
        yield invalid(path, schema, "must be a schema")
        return
    for field, kinds in _FIELD_TYPES.items():
        value = schema.get(field)
        if value is not None and not isinstance(value, kinds):
            yield invalid(f"{path}.{field}", value, f"must be of type {kinds[0].__name__}")
            return
    for field in ("required", "x-kubernetes-list-map-keys"):
        if any(not isinstance(name, str) for name in schema.get(field) or ()):
            yield invalid(f"{path}.{field}", schema[field], "must be a list of names")
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        texts = ("rule", "message", "messageExpression", "reason", "fieldPath")
        if not isinstance(rule, dict) or any(not isinstance(rule.get(field, ""), str) for field in texts):
            yield invalid(f"{path}.x-kubernetes-validations[{index}]", rule, "must be a rule")
    for name, sub in (schema.get("properties") or {}).items():
        yield from _validate_shape(sub, f"{path}.properties[{name}]")
    for field in ("allOf", "anyOf", "oneOf"):
        for index, sub in enumerate(schema.get(field) or ()):
            yield from _validate_shape(sub, f"{path}.{field}[{index}]")
    for field in ("items", "not", "additionalProperties"):
        if schema.get(field) is not None and not isinstance(schema[field], bool):
            yield from _validate_shape(schema[field], f"{path}.{field}")


def _validate_node(schema: JsonObject, path: str, *, root: bool = False) -> Iterator[FieldError]:
    own = list(_validate_node_fields(schema, path, root))
    yield from own
    if not own and "default" in schema:
        yield from _validate_default(schema, path)
    for name, sub in (schema.get("properties") or {}).items():
        if not (root and name == "metadata"):
            yield from _validate_node(sub, f"{path}.properties[{name}]")
    items, additional = schema.get("items"), schema.get("additionalProperties")
    if schema.get("type") == "array" and not isinstance(items, dict):
        yield required(f"{path}.items", "must be specified")
    if isinstance(items, dict):
        yield from _validate_node(items, f"{path}.items")
    if isinstance(additional, dict):
        yield from _validate_node(additional, f"{path}.additionalProperties")
        if schema.get("properties"):
            yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")


def _validate_node_fields(schema: JsonObject, path: str, root: bool) -> Iterator[FieldError]:
    kind = schema.get("type")
    if not root and not kind and not schema.get(_INT_OR_STRING) and not schema.get(_PRESERVE):
        yield required(f"{path}.type", "must not be empty for specified object fields")
    if kind and kind not in _KINDS:
        yield not_supported(f"{path}.type", kind, _KINDS)
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", detail)
    if schema.get("$ref"):
        yield forbidden(f"{path}.$ref", "$ref is not supported")
    if pattern := schema.get("pattern"):
        # Imported at the first pattern: most clusters have none.
        from embedded.regex import PatternError, compile_pattern

        try:
            compile_pattern(pattern)
        except PatternError as error:
            yield invalid(f"{path}.pattern", pattern, f"must be a valid regular expression, but isn't: {error}")
    yield from _validate_list_type(schema, path)
    yield from _validate_rules(schema, path)


def _validate_default(schema: JsonObject, path: str) -> Iterator[FieldError]:
    value = copy_json(schema["default"])
    if structural.prune({"default": value}, {"properties": {"default": schema}}):
        yield invalid(f"{path}.default", schema["default"], "must not have unknown fields")
    for cause in schema_validation.validate_value(value, schema, None, "default"):
        yield FieldError(cause.reason, f"{path}.{cause.field}", cause.message)


def _validate_list_type(schema: JsonObject, path: str) -> Iterator[FieldError]:
    list_type, keys = f"{path}.x-kubernetes-list-type", f"{path}.x-kubernetes-list-map-keys"
    kind, map_keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    if kind and kind not in _LIST_TYPES:
        yield not_supported(list_type, kind, _LIST_TYPES)
    if kind == "map" and not map_keys:
        yield required(keys, "must not be empty if x-kubernetes-list-type is map")
    if map_keys and kind != "map":
        yield invalid(list_type, kind or "", "must be map if x-kubernetes-list-map-keys is non-empty")
    items = schema.get("items")
    item: JsonObject = items if isinstance(items, dict) else {}
    properties = item.get("properties") or {}
    for index, key in enumerate(map_keys):
        if key not in properties:
            yield invalid(f"{keys}[{index}]", key, "entries must all be names of item properties")
        elif key not in (item.get("required") or ()) and "default" not in properties[key]:
            detail = (
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            )
            yield required(f"{path}.items.properties[{key}].default", detail)
    map_type = schema.get("x-kubernetes-map-type")
    if map_type and map_type not in _MAP_TYPES:
        yield not_supported(f"{path}.x-kubernetes-map-type", map_type, _MAP_TYPES)


def _validate_rules(schema: JsonObject, path: str) -> Iterator[FieldError]:
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or []):
        field_path = f"{path}.x-kubernetes-validations[{index}]"
        if not str(rule.get("rule") or "").strip():
            yield required(f"{field_path}.rule", "rule is not specified")
        message = rule.get("message")
        if message is not None and not message.strip():
            yield invalid(f"{field_path}.message", message, "message must be non-empty if specified")
        elif message and "\n" in message.strip():
            yield invalid(f"{field_path}.message", message, "message must not contain line breaks")
        if (reason := rule.get("reason")) and reason not in _REASONS:
            yield not_supported(f"{field_path}.reason", reason, _REASONS)
        for field in ("rule", "messageExpression"):
            if rule.get(field) and (detail := _compile_error(rule[field])):
                yield invalid(f"{field_path}.{field}", rule[field], f"compilation failed: ERROR: <input>: {detail}")


def _compile_error(expression: str) -> str:
    """The compile error of an expression; empty when it compiles."""
    # Imported at the first rule: most clusters have none.
    from embedded.cel import CelError, compile_expression

    try:
        compile_expression(expression, VARIABLES)
    except CelError as error:
        return str(error)
    return ""
