"""Draws the steps of a pipeline and their dependencies with characters, from left to right.

    drawing = layout(("build", "test"), (("build", "test"),))
    for line in drawing.text(): print(line)

No available library draws a hundred steps readably on a character grid. `controller.dag`
finds layers and rows; here, `edge_bundles` and `edge_routing` find the lines between two
layers, and `drawing` the characters. `outline` draws the same graph as a list. Colours,
names and signs are drawn by the user interfaces.
"""

from controller.dag import Graph, Group, GroupedGraph, common_phase, find_groups, group_nodes
from workbench.dag.drawing import Box, Drawing, layout
from workbench.dag.outline import OutlineRow, draw_outline, outline

__all__ = [
    "Box",
    "Drawing",
    "Graph",
    "Group",
    "GroupedGraph",
    "OutlineRow",
    "common_phase",
    "draw_outline",
    "find_groups",
    "group_nodes",
    "layout",
    "outline",
]
