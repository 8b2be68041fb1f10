"""YAML as Kubernetes reads it: JSON values only, no dates, string keys.

Separate from `decode`, because importing the library takes 20 ms and few requests need it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

MAX_VALUES = 100_000
"""Values that a document may have, with its aliases expanded: reading one takes 5 µs. JSON has no such limit."""
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FLOAT = re.compile(
    r"""(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)
_INTEGER = re.compile(r"(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$")


class Loader(_SafeLoader):  # type: ignore[misc]  # the library has no types
    """Leaves dates as text, reads `y` and `n` as booleans as Go's library does, and converts keys to strings."""

    bool_values = _SafeLoader.bool_values | {"y": True, "n": False}

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        found = super().construct_mapping(node, deep=deep)
        return {_key_text(key): value for key, value in found.items()}


# Go's library knows no dates here, and no numbers of base 60, which take quadratic time to read.
_OTHERWISE_RESOLVED = frozenset(f"tag:yaml.org,2002:{name}" for name in ("timestamp", "int", "float"))
Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in known if tag not in _OTHERWISE_RESOLVED]
    for letter, known in _SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-+0123456789"))
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("[yYnN]$"), list("yYnN"))


def _key_text(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return key if isinstance(key, str) else str(key)


class NotJsonCompatibleError(Exception):
    """The document contains a value that JSON does not have; the message names it."""


def load(data: bytes) -> Any:
    """Read a document.

    Raises:
        NotJsonCompatibleError: it has too many values, also by aliases, or one that JSON does not have.
        yaml.YAMLError: it is not YAML.
        ValueError: a number is too long.
    """
    # Counted before anything is built: merged maps (`<<`) are copied for each use.
    for number, _ in enumerate(yaml.parse(data, Loader)):
        if number > 2 * MAX_VALUES:
            raise NotJsonCompatibleError(f"yaml: document contains more than {MAX_VALUES} values")
    node = yaml.compose(data, Loader)
    if node is not None:
        _count_nodes(node, {})
    value = yaml.load(data, Loader=Loader)  # noqa: S506 - a safe one
    require_json_compatible(value)
    return value


def _count_nodes(node: Any, known: dict[int, int]) -> int:
    """The number of nodes with aliases expanded; 0 for one that contains itself, which is reported later."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = 0
    parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
    count = 1 + sum(_count_nodes(part, known) for part in parts)
    if count > 2 * MAX_VALUES:
        raise NotJsonCompatibleError("yaml: document contains excessive aliasing")
    known[id(node)] = count
    return count


def require_json_compatible(value: Any) -> None:
    """Check that a value can be encoded as JSON.

    Raises:
        NotJsonCompatibleError: a type that JSON does not have, or aliases that are recursive or expand excessively.
    """
    _count_values(value, {})


def _count_values(value: Any, known: dict[int, int]) -> int:
    """The number of values with aliases expanded. `known`: those of collections by id; 0 while being counted."""
    if value is None or isinstance(value, str | int):
        return 1
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotJsonCompatibleError(
                "json: unsupported value: " + {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN")
            )
        return 1
    if not isinstance(value, dict | list):
        raise NotJsonCompatibleError(f"json: unsupported type: {type(value).__name__}")
    if id(value) in known:
        if not (extent := known[id(value)]):
            raise NotJsonCompatibleError("yaml: anchor value contains itself")
        return extent
    known[id(value)] = 0
    extent = 1 + sum(_count_values(item, known) for item in (value.values() if isinstance(value, dict) else value))
    if extent > MAX_VALUES:
        raise NotJsonCompatibleError("yaml: document contains excessive aliasing")
    known[id(value)] = extent
    return extent


def duplicate_keys(data: bytes) -> list[str]:
    """The error message of a real server for duplicate keys; empty without any."""
    found = [
        f'  line {line}: key "{key}" already set in map' for line, key in _find_duplicates(yaml.compose(data, Loader))
    ]
    return ["yaml: unmarshal errors:\n" + "\n".join(found)] if found else []


def _find_duplicates(node: Any) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _find_duplicates(item)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                yield key.start_mark.line + 1, key.value
            seen.add(key.value)
        yield from _find_duplicates(value)
