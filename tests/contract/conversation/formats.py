"""Forms of single values that a real server checks: names, selectors, times, JSON without repeated keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_REQUIREMENT = re.compile(r"\s*(!?)\s*([^\s!=,()]+)\s*(?:(==|=|!=)\s*([^\s,()]*)|(in|notin)\s*\(([^()]*)\))?\s*")
_FIELD_TERM = re.compile(r"([A-Za-z.]+)(!=|==|=)(.*)")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")


def folder_of(module: ModuleType) -> Path:
    return Path(str(module.__file__)).parent


def is_name(name: str, kind: str) -> bool:
    """Whether an object of the kind can have the name."""
    if kind in ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"):
        return bool(name) and name not in (".", "..") and "/" not in name and "%" not in name
    if kind in ("Namespace", "Service", "Job"):
        # Labels of a Job's pods hold its name.
        pattern = _SUBDOMAIN if kind == "Job" else _LABEL
        return len(name) <= 63 and bool(pattern.fullmatch(name))
    return len(name) <= 253 and bool(_SUBDOMAIN.fullmatch(name))


def is_qualified_name(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= 253 and _SUBDOMAIN.fullmatch(prefix)):
        return False
    return len(name) <= 63 and bool(_QUALIFIED.fullmatch(name))


def is_label_value(value: str) -> bool:
    return value == "" or (len(value) <= 63 and bool(_QUALIFIED.fullmatch(value)))


def is_time(text: str) -> bool:
    return bool(_TIME.fullmatch(text))


def is_micro_time(text: str) -> bool:
    """Go parses a MicroTime with exactly six digits of a second."""
    return bool(_MICRO_TIME.fullmatch(text))


def label_selector_problems(selector: str) -> Iterator[str]:
    for term in _split_outside_parentheses(selector):
        found = _REQUIREMENT.fullmatch(term)
        if found is None:
            yield f"the label selector has no requirement {term!r}"
            continue
        negated, key, operator, value, _, values = found.groups()
        if not is_qualified_name(key) or (negated and (operator or values is not None)):
            yield f"the label selector's {term!r} has no valid key"
        for each in [value] if operator else [part.strip() for part in (values or "").split(",")]:
            if not is_label_value(each or ""):
                yield f"the label selector's {each!r} is not the value of a label"


def field_selector_problems(selector: str, known: frozenset[str]) -> Iterator[str]:
    for term in filter(None, selector.split(",")):
        found = _FIELD_TERM.fullmatch(term)
        if found is None:
            yield f"the field selector has no term {term!r}"
        elif found[1] not in known:
            yield f"the field {found[1]} can't be selected"


def _split_outside_parentheses(text: str) -> list[str]:
    return re.split(r",(?![^()]*\))", text)


def decode_strictly(text: bytes) -> tuple[Any, list[str]]:
    """JSON, and what strict decoding does not accept in it.

    Raises:
        ValueError: it is not JSON at all.
    """
    problems: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in items]
        problems.extend(f'duplicate field "{name}"' for name in {n for n in names if names.count(n) > 1})
        return dict(items)

    def constant(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant), problems
