"""String formats of structural schemas. An unknown format does not restrict the value."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_UUID = r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?%s[0-9a-fA-F]{3}-?%s[0-9a-fA-F]{3}-?[0-9a-fA-F]{12}"
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)")


def _parses_with(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def fits_it(value: str) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return fits_it


def _full_match(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(value) is not None


def _duration(value: str) -> bool:
    # Imported at the first such field: most clusters have none.
    from embedded.cel import CelError
    from embedded.cel.functions import to_duration

    try:
        to_duration(value)
    except CelError:
        return False
    return True


def _date_time(value: str) -> bool:
    return _DATE_TIME.fullmatch(value) is not None and _parses_with(datetime.fromisoformat)(value.upper())


def _uri(value: str) -> bool:
    return _parses_with(urllib.parse.urlsplit)(value) and bool(
        urllib.parse.urlsplit(value).scheme or value.startswith("/")
    )


_FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": _date_time,
    "datetime": _date_time,
    "date": lambda value: len(value) == 10 and _parses_with(date.fromisoformat)(value),
    "duration": _duration,
    # Stricter than fields of type bytes of built-in kinds: without line breaks, and not empty.
    "byte": _full_match(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"),
    "ipv4": _parses_with(ipaddress.IPv4Address),
    "ipv6": _parses_with(ipaddress.IPv6Address),
    "cidr": lambda value: "/" in value and _parses_with(lambda text: ipaddress.ip_network(text, strict=False))(value),
    "hostname": lambda value: _HOSTNAME.fullmatch(value) is not None,
    "email": _full_match(r"[^@\s]+@[^@\s]+"),
    "uri": _uri,
    "mac": _full_match(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}"),
    "uuid": _full_match(_UUID % ("[0-9a-fA-F]", "[0-9a-fA-F]")),
    "uuid3": _full_match(_UUID % ("3", "[0-9a-fA-F]")),
    "uuid4": _full_match(_UUID % ("4", "[89abAB]")),
    "uuid5": _full_match(_UUID % ("5", "[89abAB]")),
}


def matches_format(value: str, format_name: str) -> bool:
    check = _FORMATS.get(format_name)
    return check is None or check(value)
