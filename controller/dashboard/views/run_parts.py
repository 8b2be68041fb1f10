"""The pieces that the page of a run is made of, by the ids of their elements: those that differ are sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.dashboard.rendering import environment
from controller.dashboard.views.graph_svg import draw_graph
from controller.dashboard.views.run_view import RunView

Parts = Mapping[str, str]


def run_parts(view: RunView) -> Parts:
    """The head, the rows of the steps, and the nodes of the graph."""
    macros: Any = environment().get_template("macros.html").module
    parts = {"head": str(macros.run_head(view))}
    parts |= {f"s{step.index}": str(macros.step_row(view, step)) for step in view.steps}
    return parts | {key: str(node) for key, node in draw_graph(view).nodes.items()}


def changed_parts(before: RunView, after: RunView) -> Parts:
    """The pieces that differ between two states of a run with the same steps; only rows that differ are rendered."""
    macros: Any = environment().get_template("macros.html").module
    parts = {"head": str(macros.run_head(after))} if before != after else {}
    for old, new in zip(before.steps, after.steps, strict=True):
        if old != new:
            parts[f"s{new.index}"] = str(macros.step_row(after, new))
    drawn = draw_graph(before).nodes
    return parts | {key: str(node) for key, node in draw_graph(after).nodes.items() if drawn.get(key) != node}


def changes(before: Parts, after: Parts) -> dict[str, str]:
    """The pieces that are new or different."""
    return {key: text for key, text in after.items() if before.get(key) != text}
