"""Decoding of objects against the fields and types of built-in kinds.

`field_types.json` is generated from the OpenAPI documents of a real server (`tools/make_field_types.py`). A type is
`string`, `bytes` (base64 in JSON), `integer`, `number`, `boolean`, a union of them (`integer|string`), `any`, `[T` for
a list, `{T` for a map, or the name of another type. Whether the values are allowed is checked by
`embedded.validation`.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from embedded.api.base64_codec import Base64Error, normalize_base64
from embedded.api.quantity import is_quantity
from embedded.api.scheme import ResourceType
from embedded.api.status_errors import ApiError, bad_request
from embedded.types import JsonObject

_CLASSES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_NULL_WHEN_EMPTY = frozenset((kind, "rules") for kind in ("Role", "ClusterRole"))
"""Lists that Kubernetes writes as null when they are empty."""
_NULLABLE_FIELDS = frozenset(
    {
        *(("PodCondition", field) for field in ("lastProbeTime", "lastTransitionTime")),
        *(("JobCondition", field) for field in ("lastProbeTime", "lastTransitionTime")),
        *_NULL_WHEN_EMPTY,
        *(("Event", field) for field in ("eventTime", "firstTimestamp", "lastTimestamp")),
    }
)
"""Fields that Kubernetes writes as null when they have no value."""
_ALWAYS_PRESENT: dict[str, JsonObject] = {
    "Event": {
        **dict.fromkeys(("eventTime", "firstTimestamp", "lastTimestamp")),
        **dict.fromkeys(("reportingComponent", "reportingInstance"), ""),
        "source": {},
    },
    "Role": {"rules": None},
    "ClusterRole": {"rules": None},
    "Lease": {"spec": {}},
    "ResourceQuota": {"spec": {}},
}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:\d\d)")
_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.,]\d{6}(Z|[+-]\d\d:\d\d)")
_GO_LAYOUTS = {"Time": "2006-01-02T15:04:05Z07:00", "MicroTime": "2006-01-02T15:04:05.000000Z07:00"}
_GO_NAMES = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


_TIME_LENGTH = len("2006-01-02T15:04:05Z")
_NO_FIELDS: JsonObject = {}


class _MismatchError(Exception):
    def __init__(self, path: str, expected: str, value: Any) -> None:
        super().__init__(f"json: cannot unmarshal {_GO_NAMES.get(type(value), 'null')} into {path} of type {expected}")


class _BytesError(_MismatchError):
    def __init__(self, error: Base64Error) -> None:
        Exception.__init__(self, str(error))


class _QuantityError(_MismatchError):
    def __init__(self) -> None:
        pattern = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
        Exception.__init__(self, f"quantities must match the regular expression '{pattern}'")


class _TimeError(_MismatchError):
    def __init__(self, text: str, kind: str) -> None:
        Exception.__init__(self, f'parsing time "{text}" as "{_GO_LAYOUTS[kind]}": cannot parse "{text}"')


@cache
def _load_types() -> tuple[dict[str, str], dict[str, str | dict[str, str]]]:
    data = json.loads((Path(__file__).parent / "field_types.json").read_bytes())
    return data["kinds"], data["types"]


def drop_unknown_fields(resource: ResourceType, obj: JsonObject) -> list[str]:
    """Drop unknown fields and nulls of a built-in object, or of the metadata of a custom resource, in place.

    Returns the paths of the dropped fields.

    Raises:
        ApiError: 400, a value has the wrong type.
    """
    kinds, _ = _load_types()
    kind = kinds.get(f"{resource.group}/{resource.version}/{resource.kind}")
    try:
        dropped: list[str] = []
        if kind is not None:
            _check_value(obj, kind, "", dropped)
        else:
            _check_value(obj.get("metadata"), "ObjectMeta", "metadata", dropped)
        return dropped
    except _MismatchError as error:
        raise decode_error(resource, str(error)) from None


def complete_fields(resource: ResourceType, obj: JsonObject) -> None:
    """Add the fields that a real server always writes, in place. No client owns them by that."""
    if resource.schema is None:
        for name, nothing in _ALWAYS_PRESENT.get(resource.kind, _NO_FIELDS).items():
            obj.setdefault(name, copy.copy(nothing))


def decode_error(resource: ResourceType, detail: str) -> ApiError:
    kind = resource.kind
    return bad_request(f'{kind} in version "{resource.version}" cannot be handled as a {kind}: {detail}')


def _check_value(value: Any, kind: str, path: str, dropped: list[str]) -> None:
    """Check the type of a value and drop unknown fields below it, whose paths are added to `dropped`."""
    if (classes := _CLASSES.get(kind)) is not None:
        # First, because most values are of a simple type.
        if not isinstance(value, classes) or (isinstance(value, bool) and kind != "boolean"):
            raise _MismatchError(path, kind, value)
    elif kind[0] == "[":
        if not isinstance(value, list):
            raise _MismatchError(path, "list", value)
        for index, item in enumerate(value):
            _check_value(item, kind[1:], f"{path}[{index}]", dropped)
    elif kind[0] == "{":
        _check_map(value, kind[1:], path, dropped)
    elif kind == "Quantity" and isinstance(value, str) and not is_quantity(value):
        raise _QuantityError
    elif "|" in kind:
        choices = sum((_CLASSES[choice] for choice in kind.split("|")), ())
        if not isinstance(value, choices) or isinstance(value, bool):
            raise _MismatchError(path, kind, value)
    elif kind != "any":
        named = _load_types()[1][kind]
        if isinstance(named, str):
            _check_value(value, named, path, dropped)
        else:
            _check_fields(value, named, kind, path, dropped)


def _check_map(value: Any, kind: str, path: str, dropped: list[str]) -> None:
    """Check a map whose values are of `kind`."""
    if not isinstance(value, dict):
        raise _MismatchError(path, "map", value)
    for name in [name for name, item in value.items() if item is None]:
        del value[name]
    normalize = _NORMALIZERS.get(kind)
    for name, item in value.items():
        if normalize is not None:
            value[name] = normalize(item, f"{path}.{name}")
        else:
            _check_value(item, kind, f"{path}.{name}", dropped)


def _check_fields(value: Any, fields: dict[str, str], kind: str, at: str, dropped: list[str]) -> None:
    if not isinstance(value, dict):
        raise _MismatchError(at, kind, value)
    for name, item in list(value.items()):
        path = f"{at}.{name}" if at else name
        if (field_kind := fields.get(name)) is None:
            del value[name]
            dropped.append(path)
        elif item is None or (not item and (kind, name) in _NULL_WHEN_EMPTY):
            value[name] = None
            if (kind, name) not in _NULLABLE_FIELDS:
                del value[name]
        elif (normalize := _NORMALIZERS.get(field_kind)) is not None:
            value[name] = normalize(item, path)
        else:
            _check_value(item, field_kind, path, dropped)


def _normalize_bytes(value: Any, path: str) -> str:
    """Rewrite base64 as Kubernetes stores it: without line breaks."""
    if not isinstance(value, str):
        raise _MismatchError(path, "[]uint8", value)
    try:
        return normalize_base64(value)
    except Base64Error as error:
        raise _BytesError(error) from None


def _normalize_time(value: Any, path: str, *, kind: str = "Time") -> str:
    """Rewrite a Time or MicroTime as Kubernetes stores it: in UTC, with whole seconds or microseconds."""
    if not isinstance(value, str):
        raise _MismatchError(path, "string", value)
    if len(value) == _TIME_LENGTH and kind == "Time" and value[-1] == "Z" and _TIME.fullmatch(value):
        return value
    try:
        if not (_TIME if kind == "Time" else _MICRO_TIME).fullmatch(value):
            raise _TimeError(value, kind)
        moment = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _TimeError(value, kind) from None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ" if kind == "Time" else "%Y-%m-%dT%H:%M:%S.%fZ")


_NORMALIZERS: dict[str, Callable[[Any, str], str]] = {
    "bytes": _normalize_bytes,
    "Time": _normalize_time,
    "MicroTime": partial(_normalize_time, kind="MicroTime"),
}
"""What replaces the values of a type: takes a value and its path, raises `_MismatchError`."""
