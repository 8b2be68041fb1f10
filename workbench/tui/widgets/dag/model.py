"""The boxes of a graph: steps, and folded groups of steps with a count for each phase."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.segment import Segment

from workbench.client.models import Step
from workbench.dag import Group, GroupedGraph, common_phase, find_groups, group_nodes
from workbench.text.sanitize import sanitize_label
from workbench.text.width import cell_width
from workbench.tui.theme import Palette, phase_sign

_MAX_NAME_WIDTH = 28
_MIN_CLOSED_MEMBERS = 4
"""Minimum size of groups that are folded by default."""
_COUNTED_PHASES = ("Held", "Failed", "Running", "Succeeded", "Cancelled", "Skipped")


class DagSteps:
    """The steps of a graph and its folded groups."""

    def __init__(self) -> None:
        self.steps: Mapping[str, Step] = {}
        self.grouped = GroupedGraph((), (), {})
        self._groups: Mapping[str, Group] = {}
        self._group_of: dict[str, Group] = {}
        self._closed: dict[str, Group] = {}
        self._user_closed: dict[str, bool] = {}
        """Groups that the user has folded (True) or unfolded (False)."""

    def show(self, steps: Iterable[Step]) -> None:
        before = [(step.name, step.depends_on) for step in self.steps.values()]
        self.steps = {step.name: step for step in steps}
        if before != [(step.name, step.depends_on) for step in self.steps.values()]:
            self._groups = find_groups(tuple(self.steps))
            self._group_of = {name: group for group in self._groups.values() for name in group.members}
            self._regroup()

    def _regroup(self) -> None:
        closed = [
            group
            for group in self._groups.values()
            if self._user_closed.get(group.name, len(group.members) >= _MIN_CLOSED_MEMBERS)
        ]
        self._closed = {group.key: group for group in closed}
        edges = [(before, step.name) for step in self.steps.values() for before in step.depends_on]
        self.grouped = group_nodes(tuple(self.steps), edges, closed)

    def toggle(self, name: str) -> bool:
        """Fold or unfold the group of a step; False if it has none."""
        group = self._group_of.get(name)
        if group is not None:
            self._user_closed[group.name] = group.key not in self._closed
            self._regroup()
        return group is not None

    def toggle_all(self) -> bool:
        """Unfold all groups, or fold them if all are unfolded; False if there are none."""
        close = not self._closed
        self._user_closed |= dict.fromkeys(self._groups, close)
        self._regroup()
        return bool(self._groups)

    def is_group(self, box: str) -> bool:
        return box in self._closed

    def representative(self, box: str) -> str:
        """The step that a box selects; of a group, the one that most needs attention."""
        group = self._closed.get(box)
        if group is None:
            return box
        ranks = {"Held": 0, "Failed": 1, "Running": 2, "Cancelled": 3}
        return min(group.members, key=lambda name: ranks.get(self.steps[name].state, 4))

    def phase(self, box: str) -> tuple[str, bool]:
        """The phase of a box, and whether its failure is allowed."""
        group = self._closed.get(box)
        if group is None:
            return self.steps[box].state, self.steps[box].allow_failure
        members = [self.steps[name] for name in group.members]
        phase = common_phase({step.phase for step in members})
        return phase, all(step.allow_failure for step in members if step.phase == phase)

    def title(self, box: str) -> str:
        group = self._closed.get(box)
        return (
            sanitize_label(box, _MAX_NAME_WIDTH)
            if group is None
            else f"{sanitize_label(group.name, _MAX_NAME_WIDTH)} ×{len(group.members)}"
        )

    def titles(self) -> dict[str, str]:
        return {box: self.title(box) for box in self.grouped.nodes}

    def counts(self, box: str, colours: Palette) -> list[Segment]:
        """The count of each phase in a group; empty for a step, or while all steps are waiting."""
        return [
            Segment(f" {phase_sign(phase)}{count}", colours.phase(phase))
            for phase, count in self._phase_counts(box).items()
        ]

    def _phase_counts(self, box: str) -> dict[str, int]:
        group = self._closed.get(box)
        phases = [self.steps[name].state for name in group.members] if group is not None else []
        return {phase: phases.count(phase) for phase in _COUNTED_PHASES if phase in phases}

    def widths(self) -> dict[str, int]:
        """The width of each box. Groups reserve space for later counts, so that the layout stays."""
        widths = {}
        for box in self.grouped.nodes:
            widths[box] = cell_width(self.title(box))
            if (group := self._closed.get(box)) is not None:
                counts = [len(f" ✓{count}") for count in self._phase_counts(box).values()]
                widths[box] += max(sum(counts), 3 * len(f" ✓{len(group.members)}"))
        return widths
