"""Answers as HTTP responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from embedded.api.status_errors import ApiError
from embedded.registry.options import Written
from embedded.storage.sqlite import encode

Json = dict[str, Any]


def raw(status: int, data: bytes) -> web.Response:
    return web.Response(status=status, body=data, content_type="application/json")


def of(status: int, obj: Json) -> web.Response:
    return raw(status, encode(obj))


def failure(error: ApiError) -> web.Response:
    response = of(error.code, error.to_status())
    if seconds := (error.details or {}).get("retryAfterSeconds"):
        response.headers["Retry-After"] = str(seconds)
    return response


def written(what: Written, told: Sequence[str] = (), *, warn: bool) -> web.Response:
    """The object after a write, with a Warning header for each thing that others `told`.

    With `warn`, also for each thing in the request that was left out.
    """
    response = raw(201 if what.created else 200, what.body)
    for warning in (*(what.warnings if warn else ()), *told):
        # The text is a quoted string (RFC 7234), and a header holds no control characters.
        text = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in warning)
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{escaped}"')
    return response
