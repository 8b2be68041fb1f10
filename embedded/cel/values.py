"""The types, equality and order of CEL values, which are represented by Python values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any


class CelError(Exception):
    """An expression cannot be compiled or evaluated. The message states the cause."""


@dataclass(frozen=True)
class CelType:
    name: str


@dataclass(frozen=True)
class Quantity:
    amount: Decimal


@dataclass(frozen=True)
class OptionalValue:
    value: Any = None
    present: bool = False


_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (int, "int"),
    (float, "double"),
    (str, "string"),
    (bytes, "bytes"),
    (list, "list"),
    (dict, "map"),
    (type(None), "null_type"),
    (datetime, "google.protobuf.Timestamp"),
    (timedelta, "google.protobuf.Duration"),
    (Quantity, "kubernetes.Quantity"),
    (OptionalValue, "optional_type"),
    (CelType, "type"),
)
TYPE_NAMES = ("bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type")


def type_of(value: Any) -> CelType:
    return CelType(next(name for kind, name in _TYPES if isinstance(value, kind)))


def equal(one: Any, other: Any) -> bool:
    """CEL equality: numbers are compared across types, everything else only within its type."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    return bool(one == other)


def compare(one: Any, other: Any) -> int:
    """Compare two values; returns -1, 0 or 1.

    Raises:
        CelError: the values have no order.
    """
    if isinstance(one, Quantity) and isinstance(other, Quantity):
        one, other = one.amount, other.amount
    numbers = isinstance(one, int | float | Decimal) and isinstance(other, int | float | Decimal)
    if not numbers and type(one) is not type(other):
        raise overload_error("<", one, other)
    try:
        return int(one > other) - int(one < other)
    except TypeError:
        raise overload_error("<", one, other) from None


def overload_error(function: str, *arguments: Any) -> CelError:
    types = ", ".join(type_of(argument).name for argument in arguments)
    return CelError(f"found no matching overload for '{function}' applied to '({types})'")
