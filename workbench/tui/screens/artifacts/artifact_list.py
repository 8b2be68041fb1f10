"""The list of artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from workbench.client.models import Artifact, Run
from workbench.text.sanitize import sanitize_label
from workbench.tui.theme import Palette
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.segments import cell


class ArtifactList(ListView):
    """The artifacts of the steps. Keys are `<slug>/<path>`."""

    HELP_TITLE: ClassVar[str] = "Artifacts"
    ROW_ACTIONS: ClassVar[tuple[str, ...]] = ("open", "look", "save")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "look", "Open with", id="artifacts.look", tooltip="Open the file with the desktop or a pager"),
        Binding("ctrl+s", "save", "Save", id="artifacts.save", tooltip="Save the file in the downloads folder"),
    ]

    @dataclass
    class OpenRequested(Message):
        """The user wants to open an artifact in another program."""

        artifact: Artifact

    @dataclass
    class SaveRequested(Message):
        """The user wants to save an artifact."""

        artifact: Artifact

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.artifacts: dict[str, Artifact] = {}
        self._names: Mapping[str, str] = {}

    def show(self, artifacts: tuple[Artifact, ...], names: Mapping[str, str]) -> None:
        """Show artifacts; `names` has the names of their steps by slug."""
        if names != self._names:
            self._names = names
            self.refresh()
        self.artifacts = {f"{each.step}/{each.path}": each for each in artifacts}
        self.show_keys(list(self.artifacts))

    def action_look(self) -> None:
        if self.cursor is not None:
            self.post_message(self.OpenRequested(self.artifacts[self.cursor]))

    def action_save(self) -> None:
        if self.cursor is not None:
            self.post_message(self.SaveRequested(self.artifacts[self.cursor]))

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        each = self.artifacts[key]
        names = max(width - 38, 10)
        step = self._names.get(each.step, each.step)
        return Strip(
            [
                cell(f" {sanitize_label(step, 20)}", 22, colours.muted),
                cell(sanitize_label(each.path, names), names, colours.plain),
                Segment(" "),
                cell(f"{each.size:,} B", 14, colours.muted, right=True),
            ]
        )


def step_names(run: Run | None) -> dict[str, str]:
    """The names of the steps of a run by their slugs, which artifacts have."""
    return {step.slug: step.name for step in run.steps} if run is not None else {}
