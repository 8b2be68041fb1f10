"""A pipeline's steps and their dependencies as a drawing of characters, left to right.

    drawing = layout(("build", "test"), (("build", "test"),))
    for line in drawing.text(): print(line)

Our own, as no library at hand draws a hundred steps so that people can read them.
The stages are Sugiyama's: `graph` finds the layers, `order` the order within a
layer with few crossings, `rows` the heights, `combs` and `tracks` the lines
between two layers, `drawing` the characters. `folding` draws the steps of a
matrix together before that, and `outline` is the same graph as a list. Nothing here
knows a colour: a face draws names and signs into the boxes it is given.
"""

from workbench.dag.drawing import Box, Drawing, layout
from workbench.dag.graph import Graph
from workbench.dag.grouping import Group, GroupedGraph, common_phase, find_groups, group_nodes
from workbench.dag.outline import OutlineRow, outline
from workbench.dag.outline_drawing import draw_outline

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
