"""Decodes request objects against the fields of their resource: unknown fields are dropped, wrong types refused."""

from __future__ import annotations

from embedded.api import field_types, status_errors
from embedded.api.scheme import ResourceType
from embedded.crd import structural
from embedded.registry import object_meta
from embedded.registry.options import WriteOptions
from embedded.types import JsonObject


def decode(resource: ResourceType, obj: JsonObject, options: WriteOptions) -> tuple[str, ...]:
    """Drop unknown fields, in place.

    Returns a warning for each dropped or repeated field.

    Raises:
        ApiError: 400, a value has a wrong type, or a strict write has unknown or repeated fields.
    """
    warnings = (
        *options.duplicate_fields,
        *(f'unknown field "{path}"' for path in _drop_unknown_fields(resource, obj)),
    )
    if warnings and options.strict:
        raise field_types.decode_error(resource, f"strict decoding error: {', '.join(warnings)}")
    return warnings


def decode_applied(resource: ResourceType, patch: JsonObject, options: WriteOptions, name: str) -> None:
    """As `decode`, for an apply patch: unknown fields are errors whatever the field validation is.

    Args:
        name: `<namespace>/<name>` as the client sent them, for error messages.

    Raises:
        ApiError: 500, as a real server answers, when the patch does not match the schema; 400, a strict write has
            repeated fields.
    """
    group_version = f"{resource.group}/{resource.version}"
    prefix = f"failed to create typed patch object ({name}; {group_version}, Kind={resource.kind})"
    try:
        dropped = _drop_unknown_fields(resource, patch)
    except status_errors.ApiError as error:
        raise status_errors.ApiError(500, "", f"{prefix}: {error.message}") from None
    if dropped:
        lines = [f".{path}: field not declared in schema" for path in dropped]
        detail = lines[0] if len(lines) == 1 else "errors:\n" + "\n".join(f"  {line}" for line in lines)
        raise status_errors.ApiError(500, "", f"{prefix}: {detail}")
    if options.duplicate_fields and options.strict:
        raise status_errors.bad_request(f"error strict decoding YAML: {options.duplicate_fields[0]}")


def _drop_unknown_fields(resource: ResourceType, obj: JsonObject) -> list[str]:
    """Returns the paths of the dropped fields."""
    dropped = field_types.drop_unknown_fields(resource, obj)
    object_meta.drop_empty_fields(resource, obj)
    if resource.schema is not None:
        dropped += structural.prune(obj, resource.schema)
    return dropped
