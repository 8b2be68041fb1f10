"""The functions and methods of CEL, by name. A method receives its target as first argument."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cmp_to_key
from itertools import pairwise
from string import ascii_lowercase, ascii_uppercase
from typing import Any, TypeVar

from embedded.api.quantity import parse_quantity
from embedded.cel.values import CelError, OptionalValue, Quantity, compare, equal, overload_error, type_of
from embedded.regex import Pattern, PatternBudgetError, PatternError, compile_pattern

_Sized = TypeVar("_Sized", str, bytes, list[Any])
COST_EXCEEDED = "operation cancelled: actual cost limit exceeded"
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_INT64_LIMIT = 1 << 63
_TO_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_TO_UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)
_MAX_LENGTH = 1 << 20
"""The maximum length of strings, bytes and lists that an expression builds."""


def _apply_pattern(search: Callable[[Pattern], Any], pattern: str) -> Any:
    try:
        return search(compile_pattern(pattern))
    except (PatternError, PatternBudgetError) as error:
        raise CelError(f"invalid regular expression: {error}") from None


def _matches(of: str, pattern: str) -> bool:
    return bool(_apply_pattern(lambda known: known.is_match(of), pattern))


def _find(of: str, pattern: str) -> str:
    found = _apply_pattern(lambda known: known.find(of), pattern)
    return of[found[0] : found[1]] if found else ""


def require_int64(value: int) -> int:
    """Return an integer that fits into 64 bits.

    Raises:
        CelError: it does not.
    """
    if not -_INT64_LIMIT <= value < _INT64_LIMIT:
        raise CelError("integer overflow")
    return value


def require_length(value: _Sized) -> _Sized:
    """Return a string, bytes or a list that is not too long; doubling one repeatedly would use up the memory.

    Raises:
        CelError: it is longer than an expression may build.
    """
    if len(value) > _MAX_LENGTH:
        raise CelError(COST_EXCEEDED)
    return value


def _join(of: list[str], separator: str = "") -> str:
    if sum(map(len, of)) + len(separator) * len(of) > _MAX_LENGTH:
        raise CelError(COST_EXCEEDED)
    return separator.join(of)


def _int(value: Any) -> int:
    try:
        if isinstance(value, datetime):
            return int(value.timestamp())
        return require_int64(int(value))
    except (ValueError, TypeError, OverflowError):
        raise CelError(f"type conversion error from '{value}' to 'int'") from None


def _double(value: Any) -> float:
    try:
        return float(value)
    except (ValueError, TypeError):
        raise CelError(f"type conversion error from '{value}' to 'double'") from None


def to_string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, float):
        return f"{value:g}" if value != int(value) else str(int(value))
    return str(value)


def to_duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"([+-]?)((?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+|0)", str(value))
    if match is None:
        raise CelError(f'invalid duration "{value}"')
    parts = re.findall(r"(?<!\d)(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)", match.group(2))
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        return timedelta(seconds=-seconds if match.group(1) == "-" else seconds)
    except OverflowError:
        raise CelError(f'invalid duration "{value}"') from None


def to_timestamp(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        found = datetime.fromtimestamp(value, UTC) if isinstance(value, int) else datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        raise CelError(f'invalid timestamp "{value}"') from None
    if found.tzinfo is None:
        raise CelError(f'invalid timestamp "{value}"')
    return found


def _quantity(value: Any) -> Quantity:
    try:
        return Quantity(parse_quantity(value))
    except (ValueError, InvalidOperation):
        raise CelError(f"quantity could not be parsed: {value}") from None


def _succeeds(function: Callable[[Any], Any]) -> Callable[[Any], bool]:
    def able(value: Any) -> bool:
        try:
            function(value)
        except CelError:
            return False
        return True

    return able


def _size(value: Any) -> int:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise overload_error("size", value)


def _bool(value: Any) -> bool:
    known = {"true": True, "True": True, "TRUE": True, "t": True, "1": True}
    known |= {"false": False, "False": False, "FALSE": False, "f": False, "0": False}
    if isinstance(value, bool):
        return value
    if value in known:
        return known[value]
    raise CelError(f"type conversion error from '{value}' to 'bool'")


def _contains(one: Any, other: Any) -> bool:
    return any(equal(item, other) for item in one)


def _is_sorted(items: list[Any]) -> bool:
    return all(compare(one, other) <= 0 for one, other in pairwise(items))


def _min_or_max(sign: int) -> Callable[[list[Any]], Any]:
    def pick(items: list[Any]) -> Any:
        if not items:
            raise CelError("min/max called on empty list")
        return max(items, key=cmp_to_key(lambda one, other: sign * compare(one, other)))

    return pick


def _sum(items: list[Any]) -> Any:
    start: Any = timedelta() if items and isinstance(items[0], timedelta) else 0
    return sum(items, start)


def _index(of: Any, element: Any, *start: int) -> int:
    if isinstance(of, str):
        return of.find(element, *start)
    return next((index for index, item in enumerate(of) if equal(item, element)), -1)


def _last_index(of: Any, element: Any, *end: int) -> int:
    if isinstance(of, str):
        return of.rfind(element, 0, end[0] + len(element)) if end else of.rfind(element)
    return next((index for index in reversed(range(len(of))) if equal(of[index], element)), -1)


def _substring(of: str, start: int, *end: int) -> str:
    stop = end[0] if end else len(of)
    if not 0 <= start <= stop <= len(of):
        raise CelError(f"index out of range: {start}")
    return of[start:stop]


def _char(of: str, index: int) -> str:
    if not 0 <= index <= len(of):
        raise CelError(f"index out of range: {index}")
    return of[index : index + 1]


def _replace(of: str, old: str, new: str, count: int = -1) -> str:
    return require_length(of.replace(old, new, count))


def _split(of: str, separator: str, limit: int = -1) -> list[str]:
    if not limit:
        return []
    if not separator:
        parts = list(of)
        return parts if limit < 0 or len(parts) <= limit else [*parts[: limit - 1], "".join(parts[limit - 1 :])]
    return of.split(separator, limit - 1 if limit > 0 else -1)


def _format(template: str, values: list[Any]) -> str:
    left = list(values)

    def put(match: re.Match[str]) -> str:
        if match.group(0) == "%%":
            return "%"
        if not left:
            raise CelError("index out of range: too few arguments to format")
        value, verb = left.pop(0), match.group(2)
        if verb == "s":
            return to_string(value)
        if verb == "d":
            return str(_int(value))
        if verb in "fe":
            return f"{_double(value):.{match.group(1) or 6}{verb}}"
        return f"{_int(value):{verb}}"

    return require_length(re.sub(r"%(?:%|(?:\.(\d{1,2}))?([sdfexXbo]))", put, template))


def _time_part(name: str) -> Callable[..., int]:
    def get(value: Any, _: str = "UTC") -> int:
        if isinstance(value, timedelta):
            divisor = {"getHours": 3600, "getMinutes": 60, "getSeconds": 1, "getMilliseconds": 0.001}
            return int(value.total_seconds() / divisor[name])
        moment = to_timestamp(value).astimezone(UTC)
        return {
            "getFullYear": moment.year,
            "getMonth": moment.month - 1,
            "getDate": moment.day,
            "getDayOfMonth": moment.day - 1,
            "getDayOfWeek": moment.isoweekday() % 7,
            "getDayOfYear": moment.timetuple().tm_yday - 1,
            "getHours": moment.hour,
            "getMinutes": moment.minute,
            "getSeconds": moment.second,
            "getMilliseconds": moment.microsecond // 1000,
        }[name]

    return get


def _amount(value: Quantity | int) -> Decimal:
    return value.amount if isinstance(value, Quantity) else Decimal(value)


def _optional_value(of: OptionalValue) -> Any:
    if not of.present:
        raise CelError("optional.none() dereference")
    return of.value


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "size": _size,
    "int": _int,
    "uint": _int,
    "double": _double,
    "string": to_string,
    "bytes": lambda value: value if isinstance(value, bytes) else str(value).encode(),
    "bool": _bool,
    "type": type_of,
    "dyn": lambda value: value,
    "duration": to_duration,
    "timestamp": to_timestamp,
    "quantity": _quantity,
    "isQuantity": _succeeds(_quantity),
    "matches": _matches,
    "sets.contains": lambda one, other: all(_contains(one, item) for item in other),
    "sets.intersects": lambda one, other: any(_contains(one, item) for item in other),
    "sets.equivalent": lambda one, other: (
        all(_contains(one, item) for item in other) and all(_contains(other, item) for item in one)
    ),
    "optional.of": lambda value: OptionalValue(value, True),
    "optional.none": OptionalValue,
    "optional.ofNonZeroValue": lambda value: OptionalValue(value, True) if value else OptionalValue(),
}
METHODS: dict[str, Callable[..., Any]] = {
    "size": _size,
    "contains": lambda of, part: part in of if isinstance(of, str) else _contains(of, part),
    "startsWith": lambda of, part: of.startswith(part),
    "endsWith": lambda of, part: of.endswith(part),
    "matches": _matches,
    "find": _find,
    "findAll": lambda of, pattern, limit=None: _apply_pattern(lambda known: list(known.find_all(of)), pattern)[:limit],
    "charAt": _char,
    "indexOf": _index,
    "lastIndexOf": _last_index,
    "lowerAscii": lambda of: of.translate(_TO_LOWER),
    "upperAscii": lambda of: of.translate(_TO_UPPER),
    "replace": _replace,
    "split": _split,
    "join": _join,
    "substring": _substring,
    "trim": lambda of: of.strip(),
    "format": _format,
    "isSorted": _is_sorted,
    "sum": _sum,
    "min": _min_or_max(-1),
    "max": _min_or_max(1),
    "isGreaterThan": lambda one, other: compare(one, other) > 0,
    "isLessThan": lambda one, other: compare(one, other) < 0,
    "compareTo": compare,
    "add": lambda one, other: Quantity(one.amount + _amount(other)),
    "sub": lambda one, other: Quantity(one.amount - _amount(other)),
    "sign": lambda of: int(of.amount > 0) - int(of.amount < 0),
    "isInteger": lambda of: of.amount == int(of.amount),
    "asInteger": lambda of: require_int64(int(of.amount)),
    "asApproximateFloat": lambda of: float(of.amount),
    "hasValue": lambda of: of.present,
    "value": _optional_value,
    "orValue": lambda of, other: of.value if of.present else other,
    "or": lambda of, other: of if of.present else other,
    **{
        name: _time_part(name)
        for name in (
            *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
            *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
        )
    },
}
