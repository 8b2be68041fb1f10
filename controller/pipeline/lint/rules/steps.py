"""Rules on steps as a graph: names are unique, dependencies exist and don't go in circles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, did_you_mean, join_words, quote, sanitize
from controller.pipeline.graph import dag
from controller.pipeline.lint.rules.accessors import dependencies, iter_steps, iter_strings

Json = dict[str, Any]


def _duplicates(data: Json, places: SourceMap) -> Iterator[Diagnostic]:
    first: dict[str, int] = {}
    for index, step in iter_steps(data):
        name = step.get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            line = places.value_position(("steps", first[name], "name"))[0]
            message = f"there are two steps named {quote(name)}; the first is on line {line}"
            yield places.diagnostic(("steps", index, "name"), "duplicate-step", message, "give one another name")
        first.setdefault(name, index)


def _dependencies(data: Json, places: SourceMap) -> Iterator[Diagnostic]:
    names = list(dependencies(data))
    known = set(names)
    for index, step in iter_steps(data):
        seen: set[str] = set()
        for n, wanted in iter_strings(step.get("dependsOn")):
            path = ("steps", index, "dependsOn", n)
            if wanted == step.get("name"):
                yield places.diagnostic(path, "self-dependency", f"{quote(wanted)} depends on itself", "remove it")
            elif wanted not in known:
                others = [name for name in names if name != step.get("name")]
                hint = did_you_mean(wanted, others) or (
                    f"the other steps: {join_words(others)}" if others else "remove it"
                )
                yield places.diagnostic(path, "unknown-dependency", f"there is no step {quote(wanted)}", hint)
            elif wanted in seen:
                message = f"{quote(wanted)} is listed twice"
                yield places.diagnostic(path, "duplicate-dependency", message, "keep one", severity="warning")
            seen.add(wanted)


def _cycle(data: Json, places: SourceMap) -> Iterator[Diagnostic]:
    graph = {name: [need for need in wanted if need != name] for name, wanted in dependencies(data).items()}
    found = dag.find_cycle(graph)
    if found is None:
        return
    index = next(index for index, step in iter_steps(data) if step.get("name") == found[0])
    wanted = {need: n for n, need in iter_strings(data["steps"][index].get("dependsOn"))}
    path = ("steps", index, "dependsOn", wanted[found[1]])
    written = " -> ".join(sanitize(name, 60) for name in found)
    message = f"these steps wait for each other: {written}"
    yield places.diagnostic(path, "cycle", message, "remove one of these dependencies")


RULES = (_duplicates, _dependencies, _cycle)
