"""Rules on steps as a graph: names are unique, dependencies exist and don't go in circles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.pipeline.graph import dag
from controller.pipeline.lint.rules.accessors import needs, steps, strings
from controller.pipeline.problems import Places, Problem, did_you_mean, listed, quoted, safe

Json = dict[str, Any]


def _duplicates(data: Json, places: Places) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, step in steps(data):
        name = step.get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            line = places.of(("steps", first[name], "name"))[0]
            message = f"there are two steps named {quoted(name)}; the first is on line {line}"
            yield places.problem(("steps", index, "name"), "duplicate-step", message, "give one another name")
        first.setdefault(name, index)


def _dependencies(data: Json, places: Places) -> Iterator[Problem]:
    names = list(needs(data))
    known = set(names)
    for index, step in steps(data):
        seen: set[str] = set()
        for n, wanted in strings(step.get("dependsOn")):
            path = ("steps", index, "dependsOn", n)
            if wanted == step.get("name"):
                yield places.problem(path, "self-dependency", f"{quoted(wanted)} depends on itself", "remove it")
            elif wanted not in known:
                others = [name for name in names if name != step.get("name")]
                hint = did_you_mean(wanted, others) or (f"the other steps: {listed(others)}" if others else "remove it")
                yield places.problem(path, "unknown-dependency", f"there is no step {quoted(wanted)}", hint)
            elif wanted in seen:
                message = f"{quoted(wanted)} is listed twice"
                yield places.problem(path, "duplicate-dependency", message, "keep one", severity="warning")
            seen.add(wanted)


def _cycle(data: Json, places: Places) -> Iterator[Problem]:
    graph = {name: [need for need in wanted if need != name] for name, wanted in needs(data).items()}
    found = dag.find_cycle(graph)
    if found is None:
        return
    index = next(index for index, step in steps(data) if step.get("name") == found[0])
    wanted = {need: n for n, need in strings(data["steps"][index].get("dependsOn"))}
    path = ("steps", index, "dependsOn", wanted[found[1]])
    written = " -> ".join(safe(name, 60) for name in found)
    message = f"these steps wait for each other: {written}"
    yield places.problem(path, "cycle", message, "remove one of these dependencies")


RULES = (_duplicates, _dependencies, _cycle)
