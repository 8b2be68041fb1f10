"""Constructors of field errors, with the messages of apimachinery's `field.Invalid`, `field.Required` and so on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from embedded.api.status_errors import FieldError


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", field, f"Invalid value: {_to_json(value)}: {detail}")


def required(field: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", field, f"Required value: {detail}" if detail else "Required value")


def forbidden(field: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", field, f"Forbidden: {detail}")


def not_supported(field: str, value: Any, supported: Sequence[str]) -> FieldError:
    listed = ", ".join(f'"{choice}"' for choice in supported)
    return FieldError(
        "FieldValueNotSupported", field, f"Unsupported value: {_to_json(value)}: supported values: {listed}"
    )


def duplicate(field: str, value: Any) -> FieldError:
    return FieldError("FieldValueDuplicate", field, f"Duplicate value: {_to_json(value)}")


def not_found(field: str, value: Any) -> FieldError:
    return FieldError("FieldValueNotFound", field, f"Not found: {_to_json(value)}")


def too_long(field: str, limit: int) -> FieldError:
    return FieldError("FieldValueTooLong", field, f"Too long: may not be more than {limit} bytes")


def too_many(field: str, count: int, limit: int) -> FieldError:
    """The list has more than `limit` items."""
    return FieldError("FieldValueTooMany", field, f"Too many: {count}: must have at most {limit} items")
