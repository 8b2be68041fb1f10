"""The pipelines that can be run: this folder's, and those saved in the cluster."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.strip import Strip

from workbench.client.models import SavedPipeline
from workbench.text.sanitize import sanitize_label
from workbench.tui.theme import Palette
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.segments import cell

FOLDER_KEY = "here"
"""The key of this folder's pipeline; keys of saved pipelines start with `kept/`."""


class PipelinesList(ListView):
    """Enter runs the selected pipeline."""

    HELP_TITLE: ClassVar[str] = "Pipelines"
    OPENS: ClassVar[str] = "Run"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._file: str | None = None
        self.saved: dict[str, SavedPipeline] = {}

    def show(self, file: str | None, saved: tuple[SavedPipeline, ...]) -> None:
        """`file` is the name of this folder's pipeline file, if it has one."""
        self._file, self.saved = file, {f"kept/{each.name}": each for each in saved}
        self.show_keys([*([FOLDER_KEY] if file is not None else []), *self.saved])

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        name, where = (self._file or "", "folder") if key == FOLDER_KEY else (self.saved[key].name, "cluster")
        room = max(width - 10, 8)
        return Strip(
            [Segment(" "), cell(sanitize_label(name, room), room, colours.plain), cell(where, 8, colours.muted)]
        )
