"""Rules on the graph of steps: unique names, existing dependencies, no cycles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, did_you_mean, join_words, quote, sanitize
from controller.pipeline.graph import dag
from controller.pipeline.lint.rules.accessors import dependencies, iter_steps, iter_strings

Json = dict[str, Any]


def _duplicates(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    first: dict[str, int] = {}
    for index, step in iter_steps(data):
        name = step.get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            line = source_map.value_position(("steps", first[name], "name"))[0]
            message = f"there are two steps named {quote(name)}; the first is on line {line}"
            yield source_map.diagnostic(("steps", index, "name"), "duplicate-step", message, "give one another name")
        first.setdefault(name, index)


def _dependencies(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    names = list(dependencies(data))
    known = set(names)
    for index, step in iter_steps(data):
        seen: set[str] = set()
        for n, dependency in iter_strings(step.get("dependsOn")):
            path = ("steps", index, "dependsOn", n)
            if dependency == step.get("name"):
                yield source_map.diagnostic(
                    path, "self-dependency", f"{quote(dependency)} depends on itself", "remove it"
                )
            elif dependency not in known:
                others = [name for name in names if name != step.get("name")]
                hint = did_you_mean(dependency, others) or (
                    f"the other steps: {join_words(others)}" if others else "remove it"
                )
                yield source_map.diagnostic(path, "unknown-dependency", f"there is no step {quote(dependency)}", hint)
            elif dependency in seen:
                message = f"{quote(dependency)} is listed twice"
                yield source_map.diagnostic(path, "duplicate-dependency", message, "keep one", severity="warning")
            seen.add(dependency)


def _cycle(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    graph = {name: [other for other in direct if other != name] for name, direct in dependencies(data).items()}
    found = dag.find_cycle(graph)
    if found is None:
        return
    index = next(index for index, step in iter_steps(data) if step.get("name") == found[0])
    positions = {name: n for n, name in iter_strings(data["steps"][index].get("dependsOn"))}
    path = ("steps", index, "dependsOn", positions[found[1]])
    written = " -> ".join(sanitize(name, 60) for name in found)
    message = f"these steps wait for each other: {written}"
    yield source_map.diagnostic(path, "cycle", message, "remove one of these dependencies")


RULES = (_duplicates, _dependencies, _cycle)
