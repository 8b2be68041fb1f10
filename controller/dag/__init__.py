"""The layout of a graph in layers and rows, which the terminal and the dashboard draw each in their own way.

The stages are those of Sugiyama: `graph` finds the layers, `layering` an order with few crossings, `row_assignment` the
rows. `grouping` merges the steps of a matrix before that. It is pure, and knows nothing of characters or pixels.
"""

from controller.dag.graph import Graph
from controller.dag.grouping import Group, GroupedGraph, common_phase, find_groups, group_nodes
from controller.dag.layering import Layering, assign_layers
from controller.dag.row_assignment import assign_rows

__all__ = [
    "Graph",
    "Group",
    "GroupedGraph",
    "Layering",
    "assign_layers",
    "assign_rows",
    "common_phase",
    "find_groups",
    "group_nodes",
]
