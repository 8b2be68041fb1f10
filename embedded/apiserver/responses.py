"""Builds HTTP responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from embedded.api.status_errors import ApiError
from embedded.registry.options import WriteResult
from embedded.storage.sqlite import encode_json

Json = dict[str, Any]


def raw_json_response(status: int, data: bytes) -> web.Response:
    return web.Response(status=status, body=data, content_type="application/json")


def json_response(status: int, obj: Json) -> web.Response:
    return raw_json_response(status, encode_json(obj))


def error_response(error: ApiError) -> web.Response:
    response = json_response(error.code, error.to_status())
    if seconds := (error.details or {}).get("retryAfterSeconds"):
        response.headers["Retry-After"] = str(seconds)
    return response


def write_response(result: WriteResult, webhook_warnings: Sequence[str] = (), *, warn: bool) -> web.Response:
    """The response to a write.

    Args:
        webhook_warnings: each becomes a Warning header.
        warn: add a Warning header for each field of the request that was ignored.
    """
    response = raw_json_response(201 if result.created else 200, result.body)
    for warning in (*(result.warnings if warn else ()), *webhook_warnings):
        # The text is a quoted string (RFC 7234), and a header holds no control characters.
        text = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in warning)
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{escaped}"')
    return response
