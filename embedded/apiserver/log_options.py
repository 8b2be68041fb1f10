"""Parses and validates the options of pods/log, by `ValidatePodLogOptions`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from embedded.api.field_errors import forbidden, invalid
from embedded.api.interfaces import LogOptions
from embedded.api.status_errors import FieldError, bad_request
from embedded.api.status_errors import invalid as invalid_object
from embedded.apiserver import query_options

_LEAST = {"tailLines": 0, "limitBytes": 1, "sinceSeconds": 1}


def parse_log_options(pod: str, query: Mapping[str, str], now: datetime) -> LogOptions:
    """The options of a request for the log of a pod.

    Raises:
        ApiError: 400, a value can't be read; 422, it makes no sense.
    """
    numbers = {name: query_options.parse_int(query, name) for name in _LEAST}
    since = _parse_time(query)
    errors: list[FieldError] = []
    for name, least in _LEAST.items():
        number = numbers[name]
        if number is not None and number < least:
            why = "must be greater than 0" if least else "must be greater than or equal to 0"
            errors.append(invalid(name, number, why))
    if since is not None and numbers["sinceSeconds"] is not None:
        errors.append(forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    if errors:
        raise invalid_object("PodLogOptions", pod, "", errors)
    if (seconds := numbers["sinceSeconds"]) is not None:
        since = now - timedelta(seconds=seconds)
    return LogOptions(
        container=query.get("container", ""),
        follow=query_options.parse_bool(query, "follow"),
        previous=query_options.parse_bool(query, "previous"),
        timestamps=query_options.parse_bool(query, "timestamps"),
        tail_lines=numbers["tailLines"],
        limit_bytes=numbers["limitBytes"],
        since=since,
    )


def _parse_time(query: Mapping[str, str]) -> datetime | None:
    text = query.get("sinceTime")
    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise bad_request(f"sinceTime: Invalid value: {text!r}") from None
