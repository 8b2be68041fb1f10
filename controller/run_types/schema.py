"""JSON schemas of the shapes in `objects`: for the CustomResourceDefinition and for the OpenAPI document.

The schema of the CustomResourceDefinition is structural and inlines everything; it accepts values that the controller
does not write, such as reasons of a later version. The OpenAPI document says more precisely what a client receives:
which fields are always present, and which phases there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, NotRequired, Required, get_args, get_origin, get_type_hints, is_typeddict

from controller.run_types.connections import ConnectionStatus
from controller.run_types.objects import Condition, RunStatus, Schema

JsonSchema = dict[str, Any]


class _Field(NamedTuple):
    """A field of a shape, with its annotations taken apart."""

    value_type: Any
    schema: Schema
    description: str
    is_always_present: bool


_SCALARS: dict[Any, JsonSchema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
}


def run_status_schema() -> JsonSchema:
    """The structural schema of `status` in the CustomResourceDefinition of PipelineRun."""
    return _crd_object(RunStatus)


def connection_status_schema() -> JsonSchema:
    """The structural schema of `status` in the CustomResourceDefinition of RepositoryConnection."""
    return _crd_object(ConnectionStatus)


def condition_schema() -> JsonSchema:
    """The structural schema of a condition."""
    return _crd_object(Condition)


def openapi_schemas(prefix: str = "#/components/schemas/") -> dict[str, JsonSchema]:
    """The components of the OpenAPI document that describe a run's status, by name: `RunStatus` and what it contains.

    Args:
        prefix: what a `$ref` to a component starts with.
    """
    return {shape.__name__: _component(shape, prefix) for shape in _reachable(RunStatus)}


def _crd_object(shape: type) -> JsonSchema:
    properties, required = {}, []
    for name, field in _fields(shape).items():
        properties[name] = _crd_value(field.value_type, field.schema) | _described(field.description)
        if field.schema.required:
            required.append(name)
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _crd_value(value_type: Any, schema: Schema) -> JsonSchema:
    if schema.is_any:
        return {"x-kubernetes-preserve-unknown-fields": True}
    if schema.is_open:
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if is_typeddict(value_type):
        return _crd_object(value_type)
    if get_origin(value_type) is list:
        return {"type": "array", "items": _crd_value(get_args(value_type)[0], Schema())}
    return _scalar(value_type, schema)


def _component(shape: type, prefix: str) -> JsonSchema:
    fields = _fields(shape)
    component: JsonSchema = {
        "type": "object",
        "title": shape.__name__,
        "description": shape.__doc__ or "",
        "properties": {
            name: _openapi_value(field.value_type, field.schema, prefix) | _described(field.description)
            for name, field in fields.items()
        },
    }
    if required := [name for name, field in fields.items() if field.is_always_present]:
        component["required"] = required
    return component


def _openapi_value(value_type: Any, schema: Schema, prefix: str) -> JsonSchema:
    if is_typeddict(value_type):
        return {"$ref": prefix + value_type.__name__}
    if get_origin(value_type) is list:
        return {"type": "array", "items": _openapi_value(get_args(value_type)[0], Schema(), prefix)}
    values = {"enum": [each.value for each in schema.enum]} if schema.enum is not None else {}
    return _scalar(value_type, schema) | values


def _scalar(value_type: Any, schema: Schema) -> JsonSchema:
    return _SCALARS[value_type] | ({"format": schema.format} if schema.format else {})


def _described(description: str) -> JsonSchema:
    return {"description": description} if description else {}


def _fields(shape: type) -> dict[str, _Field]:
    total: bool = shape.__total__  # type: ignore[attr-defined]
    return {name: _unwrap(hint, total) for name, hint in get_type_hints(shape, include_extras=True).items()}


def _unwrap(hint: Any, is_always_present: bool) -> _Field:
    schema, description = Schema(), ""
    while hasattr(hint, "__metadata__") or get_origin(hint) in (Required, NotRequired):
        for each in getattr(hint, "__metadata__", ()):
            if isinstance(each, Schema):
                schema = each
            else:
                description = str(each)
        if get_origin(hint) in (Required, NotRequired):
            is_always_present = get_origin(hint) is Required
        hint = get_args(hint)[0]
    return _Field(hint, schema, description, is_always_present)


def _reachable(shape: type) -> Iterator[type]:
    """The shape and all that its fields contain, each once, in the order in which they are found."""
    found, waiting = set[type](), [shape]
    while waiting:
        each = waiting.pop(0)
        if each in found:
            continue
        found.add(each)
        yield each
        for field in _fields(each).values():
            inner = get_args(field.value_type)[0] if get_origin(field.value_type) is list else field.value_type
            if is_typeddict(inner):
                waiting.append(inner)
