"""Groups the steps of a matrix into one node, so that a hundred siblings do not hide the rest of the graph.

Steps of one matrix have the same name before the values in parentheses:
`test (python=3.12)` and `test (python=3.13)` form the group `test`. The user
interface decides which groups are collapsed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.run_types.phases import StepPhase


@dataclass(frozen=True)
class Group:
    """The steps of one matrix. `key` is the name of their common node, which is not the name of a step."""

    name: str
    key: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class GroupedGraph:
    """A graph in which each collapsed group is one node."""

    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    node_of: Mapping[str, str] = field(repr=False)
    """The node of each step: the step itself, or the key of its group."""


def find_groups(names: Sequence[str]) -> dict[str, Group]:
    """The groups of at least two steps by name, in the order of their first steps."""
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
    """The graph with the `closed` groups collapsed; edges inside a group are dropped."""
    home = {name: name for name in names}
    for group in closed:
        home |= dict.fromkeys(group.members, group.key)
    drawn = dict.fromkeys((home.get(a, a), home.get(b, b)) for a, b in edges)
    return GroupedGraph(
        tuple(dict.fromkeys(home[name] for name in names)), tuple(e for e in drawn if e[0] != e[1]), home
    )


def common_phase(phases: Collection[str]) -> str:
    """The phase of a group: the most important of its steps, or Running if some have ended and others are pending."""
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
