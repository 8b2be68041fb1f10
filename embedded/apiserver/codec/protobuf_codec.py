"""Decodes the objects that `kubectl create` and `kubectl auth` send as protobuf.

A table of field numbers (from the `generated.proto` files of k8s.io/api) covers the kinds and fields that these
commands set. A field that is set and not in the table is rejected, never dropped: the client can send the object as
JSON. Nothing is ever encoded as protobuf.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from embedded.api.status_errors import ApiError, bad_request

Json = dict[str, Any]

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"

# Message to field number to name and type: string, int, bool, bytes (base64 in JSON), Time, Quantity, another message;
# `[T` repeated, `{T` a map from strings. A status is ignored: the server sets it.
_OBJECT = {1: ("metadata", "ObjectMeta")}
_STATUS = ("status", "ignored")
_MESSAGES: dict[str, dict[int, tuple[str, str]]] = {
    "Unknown": {1: ("typeMeta", "TypeMeta"), 2: ("raw", "raw"), 3: ("contentEncoding", "string")},
    "TypeMeta": {1: ("apiVersion", "string"), 2: ("kind", "string")},
    "ObjectMeta": {
        1: ("name", "string"),
        2: ("generateName", "string"),
        3: ("namespace", "string"),
        5: ("uid", "string"),
        6: ("resourceVersion", "string"),
        8: ("creationTimestamp", "Time"),
        11: ("labels", "{string"),
        12: ("annotations", "{string"),
        13: ("ownerReferences", "[OwnerReference"),
        14: ("finalizers", "[string"),
    },
    "OwnerReference": {
        1: ("kind", "string"),
        3: ("name", "string"),
        4: ("uid", "string"),
        5: ("apiVersion", "string"),
        6: ("controller", "bool"),
        7: ("blockOwnerDeletion", "bool"),
    },
    "Namespace": {**_OBJECT, 3: _STATUS},
    "ServiceAccount": _OBJECT,
    "ConfigMap": {**_OBJECT, 2: ("data", "{string"), 3: ("binaryData", "{bytes"), 4: ("immutable", "bool")},
    "Secret": {
        **_OBJECT,
        2: ("data", "{bytes"),
        3: ("type", "string"),
        4: ("stringData", "{string"),
        5: ("immutable", "bool"),
    },
    "ResourceQuota": {**_OBJECT, 2: ("spec", "ResourceQuotaSpec"), 3: _STATUS},
    "ResourceQuotaSpec": {1: ("hard", "{Quantity"), 2: ("scopes", "[string")},
    "TokenRequest": {**_OBJECT, 2: ("spec", "TokenRequestSpec"), 3: _STATUS},
    "TokenRequestSpec": {1: ("audiences", "[string"), 4: ("expirationSeconds", "int")},
    "SelfSubjectReview": {**_OBJECT, 2: _STATUS},
    "SelfSubjectAccessReview": {**_OBJECT, 2: ("spec", "AccessReviewSpec"), 3: _STATUS},
    "SelfSubjectRulesReview": {**_OBJECT, 2: ("spec", "SelfSubjectRulesReviewSpec"), 3: _STATUS},
    "SelfSubjectRulesReviewSpec": {1: ("namespace", "string")},
    "AccessReviewSpec": {
        1: ("resourceAttributes", "ResourceAttributes"),
        2: ("nonResourceAttributes", "NonResourceAttributes"),
    },
    "ResourceAttributes": {
        1: ("namespace", "string"),
        2: ("verb", "string"),
        3: ("group", "string"),
        4: ("version", "string"),
        5: ("resource", "string"),
        6: ("subresource", "string"),
        7: ("name", "string"),
    },
    "NonResourceAttributes": {1: ("path", "string"), 2: ("verb", "string")},
    "Role": {**_OBJECT, 2: ("rules", "[PolicyRule")},
    "ClusterRole": {**_OBJECT, 2: ("rules", "[PolicyRule")},
    "PolicyRule": {
        1: ("verbs", "[string"),
        2: ("apiGroups", "[string"),
        3: ("resources", "[string"),
        4: ("resourceNames", "[string"),
        5: ("nonResourceURLs", "[string"),
    },
    "RoleBinding": {**_OBJECT, 2: ("subjects", "[Subject"), 3: ("roleRef", "RoleRef")},
    "ClusterRoleBinding": {**_OBJECT, 2: ("subjects", "[Subject"), 3: ("roleRef", "RoleRef")},
    "Subject": {1: ("kind", "string"), 2: ("apiGroup", "string"), 3: ("name", "string"), 4: ("namespace", "string")},
    "RoleRef": {1: ("apiGroup", "string"), 2: ("kind", "string"), 3: ("name", "string")},
    "Job": {**_OBJECT, 2: ("spec", "JobSpec"), 3: _STATUS},
    "JobSpec": {
        1: ("parallelism", "int"),
        2: ("completions", "int"),
        3: ("activeDeadlineSeconds", "int"),
        6: ("template", "PodTemplateSpec"),
        7: ("backoffLimit", "int"),
        8: ("ttlSecondsAfterFinished", "int"),
        10: ("suspend", "bool"),
    },
    "PodTemplateSpec": {**_OBJECT, 2: ("spec", "PodSpec")},
    "PodSpec": {
        2: ("containers", "[Container"),
        3: ("restartPolicy", "string"),
        4: ("terminationGracePeriodSeconds", "int"),
    },
    "Container": {
        1: ("name", "string"),
        2: ("image", "string"),
        3: ("command", "[string"),
        4: ("args", "[string"),
        5: ("workingDir", "string"),
        7: ("env", "[EnvVar"),
        14: ("imagePullPolicy", "string"),
    },
    "EnvVar": {1: ("name", "string"), 2: ("value", "string")},
    "Time": {1: ("seconds", "int"), 2: ("nanos", "int")},
    "Quantity": {1: ("string", "string")},
}


class _MalformedError(Exception):
    """The bytes are not a valid message; the message says why."""


def decode(data: bytes) -> Json:
    """Decode an object.

    Raises:
        ApiError: 400 for a malformed body, 415 for kinds and fields that are not supported.
    """
    try:
        if not data.startswith(_MAGIC):
            raise _MalformedError("the magic number is missing")
        envelope = _decode_message(data[len(_MAGIC) :], "Unknown")
        kind = envelope.get("typeMeta", {})
        if kind.get("kind") not in _MESSAGES or envelope.get("contentEncoding"):
            raise _unsupported(f"{kind.get('kind')!r} objects")
        return {**kind, **_decode_message(envelope.get("raw", b""), kind["kind"])}
    except (_MalformedError, ValueError, OverflowError, OSError) as error:
        # The last three are invalid UTF-8 and invalid times.
        raise bad_request(f"the body is not a valid protobuf object: {error}") from None


def _unsupported(what: str) -> ApiError:
    message = f"{what} can't be decoded from protobuf: send JSON, as `kubectl create -f` and `kubectl apply` do"
    return ApiError(415, "UnsupportedMediaType", message)


def _decode_message(data: bytes, kind: str) -> Json:
    table = _MESSAGES[kind]
    result: Json = {}
    for number, value in _iter_fields(data):
        if number not in table:
            if value:
                raise _unsupported(f"field {number} of {kind}")
            continue
        name, of = table[number]
        if of == "ignored":
            continue
        if of[0] == "[":
            result.setdefault(name, []).append(_decode_value(value, of[1:]))
        elif of[0] == "{":
            entry = dict(_iter_fields(_require_bytes(value)))
            key = _require_bytes(entry.get(1, b"")).decode()
            result.setdefault(name, {})[key] = _decode_value(entry.get(2, b""), of[1:])
        elif (decoded := _decode_value(value, of)) not in ("", None):
            # An unset string is sent as an empty one.
            result[name] = decoded
    return result


def _decode_value(value: int | bytes, of: str) -> Any:
    if of in ("int", "bool"):
        if not isinstance(value, int):
            raise _MalformedError("a number has the wrong wire type")
        return bool(value) if of == "bool" else value
    data = _require_bytes(value)
    if of == "string":
        return data.decode()
    if of == "bytes":
        return base64.b64encode(data).decode()
    if of == "raw":
        return data
    message = _decode_message(data, of)
    if of == "Quantity":
        return message.get("string", "0")
    if of == "Time":
        seconds = message.get("seconds")
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None
    return message


def _require_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise _MalformedError("a field has the wrong wire type")
    return value


def _iter_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: (number, integer or bytes)."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        wire = tag & 7
        if wire == 0:
            number, at = _read_varint(data, at)
            yield tag >> 3, number - (1 << 64) if number >> 63 else number
            continue
        if wire == 2:
            length, at = _read_varint(data, at)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise _MalformedError(f"unknown wire type {wire}")
        if at + length > len(data):
            raise _MalformedError("unexpected end")
        yield tag >> 3, data[at : at + length]
        at += length


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _MalformedError("unexpected end")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & ((1 << 64) - 1), at
    raise _MalformedError("a number is too long")
