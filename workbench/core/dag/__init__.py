"""A pipeline's steps and their dependencies as a drawing of characters, left to right.

    drawing = layout(("build", "test"), (("build", "test"),))
    for line in drawing.text(): print(line)

Our own, as no library at hand draws a hundred steps so that people can read them.
The stages are Sugiyama's: `graph` finds the layers, `order` the order within a
layer with few crossings, `rows` the heights, `combs` and `tracks` the lines
between two layers, `drawing` the characters. Nothing here knows a status or a
colour: a face draws names and signs into the boxes it is given.
"""

from workbench.core.dag.drawing import Box, Drawing, layout
from workbench.core.dag.graph import Graph
from workbench.core.dag.outline import Row, outline

__all__ = ["Box", "Drawing", "Graph", "Row", "layout", "outline"]
