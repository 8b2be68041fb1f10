"""The size that an object would have in etcd, which refuses large ones."""

from __future__ import annotations

from typing import Any

from embedded.types import JsonObject

MAX_OBJECT_BYTES = 1_572_864
"""1.5 MiB: the default of etcd's `--max-request-bytes`."""
# These are stored as protobuf: text without JSON's escapes, and bytes without base64.
_BASE64_FIELDS = {"secrets": "data", "configmaps": "binaryData"}


def etcd_size(resource: str, obj: JsonObject, body: bytes) -> int:
    """The size of an object in etcd, in bytes.

    Custom resources are stored as JSON, all others as protobuf. The difference counts where most of an object is
    text or bytes of its user: in Secrets and ConfigMaps.

    Args:
        resource: `plural.group`, or `plural`.
        body: the object as JSON.
    """
    field = _BASE64_FIELDS.get(resource)
    if len(body) <= MAX_OBJECT_BYTES or field is None:
        return len(body)
    return sum(_text_size(value) * 3 // 4 if name == field else _text_size(value) for name, value in obj.items())


def _text_size(value: Any) -> int:
    """The bytes of all texts and keys in a value."""
    if isinstance(value, dict):
        return sum(len(key) + _text_size(each) for key, each in value.items())
    if isinstance(value, list):
        return sum(map(_text_size, value))
    return len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 8
