"""The pipelines that can be run from here: this folder's, and those kept in the cluster."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.strip import Strip

from workbench.client.models import KeptPipeline
from workbench.text.sanitize import label
from workbench.tui.theme import Palette
from workbench.tui.widgets.list_view import Rows
from workbench.tui.widgets.segments import cell

HERE = "here"
"""The key of this folder's pipeline; those of the cluster have `kept/` before their names."""


class PipelinesList(Rows):
    """Enter runs the one under the cursor."""

    HELP_TITLE: ClassVar[str] = "Pipelines"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._file: str | None = None
        self.kept: dict[str, KeptPipeline] = {}

    def show(self, file: str | None, kept: tuple[KeptPipeline, ...]) -> None:
        """`file` is the name of this folder's pipeline file, if it has one."""
        self._file, self.kept = file, {f"kept/{each.name}": each for each in kept}
        self.show_keys([*([HERE] if file is not None else []), *self.kept])

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        name, where = (self._file or "", "folder") if key == HERE else (self.kept[key].name, "cluster")
        room = max(width - 10, 8)
        return Strip([Segment(" "), cell(label(name, room), room, colours.plain), cell(where, 8, colours.muted)])
