"""The same graph as an indented list, one line a node, for terminals too narrow for a drawing.

Each node stands below the last of those it waits for, so reading downwards is
reading in order; what else it waits for is named beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.dag.graph import Graph


@dataclass(frozen=True)
class OutlineRow:
    """A line of the list: rails, then the node, then the nodes it also waits for."""

    name: str
    rails: str
    also_after: tuple[str, ...]


def outline(graph: Graph, *, indent: int = 40) -> list[OutlineRow]:
    """The rows from top to bottom. Rails wider than `indent` cells show their inner end only."""
    left = {name: len(graph.before[name]) for name in graph.nodes}
    parent: dict[str, str] = {}
    children: dict[str, list[str]] = {name: [] for name in graph.nodes}
    order: list[str] = []
    stack = [name for name in reversed(graph.nodes) if not left[name]]
    while stack:
        name = stack.pop()
        order.append(name)
        for target in graph.after[name]:
            left[target] -= 1
            if not left[target]:
                children[name].append(target)
                parent[target] = name
        stack += reversed(children[name])
    return [
        OutlineRow(name, _rails(name, parent, children, indent), _others(graph.before[name], parent.get(name)))
        for name in order
    ]


def _others(before: tuple[str, ...], parent: str | None) -> tuple[str, ...]:
    return tuple(name for name in before if name != parent)


def _rails(name: str, parent: dict[str, str], children: dict[str, list[str]], indent: int) -> str:
    rails = ""
    node: str | None = name
    while node is not None and (above := parent.get(node)) is not None:
        last = children[above][-1] == node
        tooth, rail = ("╰─", "  ") if last else ("├─", "│ ")
        rails = tooth if node == name else rail + rails
        if len(rails) > indent:
            return "…" + rails[-(indent - 1) :]
        node = above
    return rails
