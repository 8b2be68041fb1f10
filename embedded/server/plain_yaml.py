"""YAML as Kubernetes reads it: what JSON can hold, no dates, and keys that are text.

Apart from `body`, because the library costs a start 20 ms and few requests need it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Loader(_Safe):  # type: ignore[misc]  # the library has no types
    """Dates stay the text that they are; a merge key, aliases and the rest are YAML's."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        found = super().construct_mapping(node, deep=deep)
        return {_key(key): value for key, value in found.items()}


Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
    for letter, known in _Safe.yaml_implicit_resolvers.items()
}


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return key if isinstance(key, str) else str(key)


def repeated_keys(data: bytes) -> list[str]:
    """What is wrong with keys that are there twice, in the words of a real server."""
    found = [f'  line {line}: key "{key}" already set in map' for line, key in _repeated(yaml.compose(data, Loader))]
    return ["yaml: unmarshal errors:\n" + "\n".join(found)] if found else []


def _repeated(node: Any) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                yield key.start_mark.line + 1, key.value
            seen.add(key.value)
        yield from _repeated(value)
