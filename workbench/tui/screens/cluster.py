"""The health of the cluster: sandbox, controller, store, queue, quota and pods, polled while it is shown."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from rich.console import Console
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from workbench.client.errors import ClientError
from workbench.report.cluster_health import Section, health_sections, runtime_text, sandbox_section
from workbench.text.sanitize import sanitize_label
from workbench.text.width import cell_width
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.theme import palette
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.text_pane import TextPane

_POLL_SECONDS = 2.0
_NAME_WIDTH = 44
_MIN_TEXT_WIDTH = 10
_MARGIN = 3
"""Columns of the padding and the scrollbar."""
_LEVEL_SIGNS = {"ok": "✓", "warning": "!", "error": "✗", "none": " "}


class ClusterScreen(WorkbenchScreen):
    """Polls only while it is the current screen."""

    CSS_PATH = "details.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,C", "app.pop_screen", "Back", id="cluster.back", tooltip="Go back"),
    ]

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        with TextPane():
            yield Static("Loading …", id="cluster-facts", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        self.show_breadcrumbs("cluster")
        self._poll()

    @work(group="health", exclusive=True, description="ask how the cluster is")
    async def _poll(self) -> None:
        while True:
            if self.is_current:
                found, trouble = await self._fetch()
                self.query_one("#cluster-facts", Static).update(self._render_sections(found, trouble))
            await asyncio.sleep(_POLL_SECONDS)

    async def _fetch(self) -> tuple[tuple[Section, ...], str | None]:
        """The sections that could be fetched, and an error message for the others."""
        found: tuple[Section, ...] = ()
        if self.workbench.sandbox is not None:
            found = (sandbox_section(await self.workbench.sandbox()),)
        controller = self.workbench.feed.controller
        if controller is None or self.workbench.feed.connection_error is not None:
            return found, self.loading_text("What the controller knows")
        try:
            return (*found, *health_sections(await controller.health(), self.workbench.now())), None
        except ClientError as error:
            return found, sanitize_label(str(error), 400)

    def _render_sections(self, sections: tuple[Section, ...], error: str | None) -> Text:
        colours, text = palette(self.app), Text()
        styles = {"ok": colours.success, "warning": colours.warning, "error": colours.error, "none": colours.muted}
        width = max(self.size.width - _MARGIN, 1)
        names = min(_NAME_WIDTH, max(width // 3, 14))
        cluster = self.workbench.feed.cluster
        if cluster is not None:
            images = "images are ignored" if cluster.ignores_images else "steps run in their images"
            runtime, version = runtime_text(cluster.runtime), sanitize_label(cluster.version, 40)
            text.append(f"Runtime: {sanitize_label(runtime, 60)}; {images}. Kubernetes {version}\n\n")
        for section in sections:
            text.append(f"{section.title}\n", colours.bold)
            for row in section.rows:
                text.append(f"  {_LEVEL_SIGNS[row.level]} ", styles[row.level])
                name = f"{sanitize_label(row.name, names):<{names}}  "
                text.append(name, colours.muted)
                indent = 4 + cell_width(name)
                said = Text(sanitize_label(row.text, 300))
                lines = said.wrap(Console(width=width), max(width - indent, _MIN_TEXT_WIDTH))
                below = f"\n{' ' * indent}"
                text.append(f"{below.join(each.plain.rstrip() for each in lines)}\n", colours.plain)
            text.append("\n")
        if error is not None:
            text.append(f"⚠ {error}", colours.warning)
        return text
