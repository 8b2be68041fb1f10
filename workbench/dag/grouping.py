"""Draws the steps that a matrix made as one box, so that a hundred siblings do not hide the rest of a graph.

Steps of one matrix share what stands before the values in their names:
`test (python=3.12)` and `test (python=3.13)` are the group `test`. Which groups
are open is the face's business; here a graph is drawn together as it is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.run_types.phases import StepPhase


@dataclass(frozen=True)
class Group:
    """Steps made from one. `key` stands for all of them in a drawing and is no step's name."""

    name: str
    key: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class GroupedGraph:
    """A graph in which closed groups are one node each."""

    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    node_of: Mapping[str, str] = field(repr=False)
    """For each step the node it is drawn in: itself, or the key of its group."""


def find_groups(names: Sequence[str]) -> dict[str, Group]:
    """The groups of two steps or more, by their names, in the order in which they begin."""
    members: dict[str, list[str]] = {}
    for name in names:
        stem, mark, _ = name.partition(" (")
        if mark and name.endswith(")") and stem:
            members.setdefault(stem, []).append(name)
    taken = set(names)
    return {
        stem: Group(stem, key, tuple(each))
        for stem, each in members.items()
        if len(each) > 1 and (key := f"{stem} ×{len(each)}") not in taken
    }


def group_nodes(names: Sequence[str], edges: Iterable[tuple[str, str]], closed: Collection[Group]) -> GroupedGraph:
    """The graph with these groups drawn together; an edge inside one is not drawn."""
    home = {name: name for name in names}
    for group in closed:
        home |= dict.fromkeys(group.members, group.key)
    drawn = dict.fromkeys((home.get(a, a), home.get(b, b)) for a, b in edges)
    return GroupedGraph(
        tuple(dict.fromkeys(home[name] for name in names)), tuple(e for e in drawn if e[0] != e[1]), home
    )


def common_phase(phases: Collection[str]) -> str:
    """One phase for a group: the worst that has happened, and Running as long as some are over and others not."""
    for worst in (StepPhase.FAILED, StepPhase.RUNNING, StepPhase.CANCELLED):
        if worst in phases:
            return worst
    waiting = {StepPhase.PENDING} & set(phases)
    if waiting and set(phases) - waiting - {StepPhase.SKIPPED}:
        return StepPhase.RUNNING
    return next(
        (each for each in (StepPhase.PENDING, StepPhase.SUCCEEDED, StepPhase.SKIPPED) if each in phases),
        StepPhase.PENDING,
    )
