"""How the place is that runs run on: sandbox, controller and store, queue, quota, pods. Asked again while one looks."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Footer, Static

from workbench.client.errors import ClientError
from workbench.report.cluster_health import Section, sandbox_section, sections
from workbench.text.sanitize import label
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.theme import palette
from workbench.tui.widgets.header import TopBar

_EVERY = 2.0
_NAMES = 44
_SIGNS = {"ok": "✓", "warning": "!", "error": "✗", "none": " "}


class ClusterScreen(WorkbenchScreen):
    """Asks only while it is on top."""

    CSS_PATH = "details.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,C", "app.pop_screen", "Back", id="cluster.back", tooltip="Back"),
    ]

    def compose(self) -> ComposeResult:
        yield TopBar()
        with VerticalScroll():
            yield Static("Asking …", id="cluster-facts", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        super().on_mount()
        self.show_crumbs("cluster")
        self._keep_asking()

    @work(group="health", exclusive=True, description="ask how the cluster is")
    async def _keep_asking(self) -> None:
        while True:
            if self.is_current:
                found, trouble = await self._ask()
                self.query_one("#cluster-facts", Static).update(self._text(found, trouble))
            await asyncio.sleep(_EVERY)

    async def _ask(self) -> tuple[tuple[Section, ...], str | None]:
        """What is known, and what could not be asked."""
        found: tuple[Section, ...] = ()
        if self.workbench.sandbox is not None:
            found = (sandbox_section(await self.workbench.sandbox()),)
        controller = self.workbench.feed.controller
        if controller is None:
            return found, "There is no connection to the controller yet."
        try:
            return (*found, *sections(await controller.health(), self.workbench.now())), None
        except ClientError as error:
            return found, label(str(error), 400)

    def _text(self, found: tuple[Section, ...], trouble: str | None) -> Text:
        colours, text = palette(self.app), Text()
        styles = {"ok": colours.success, "warning": colours.warning, "error": colours.error, "none": colours.muted}
        cluster = self.workbench.feed.cluster
        if cluster is not None:
            images = "images are ignored" if cluster.ignores_images else "steps run in their images"
            text.append(f"{label(cluster.runtime, 60)}, Kubernetes {label(cluster.version, 40)}; {images}\n\n")
        for section in found:
            text.append(f"{section.title}\n", colours.bold)
            for row in section.rows:
                text.append(f"  {_SIGNS[row.level]} ", styles[row.level])
                text.append(f"{label(row.name, _NAMES):<{min(_NAMES, max(self.size.width // 3, 14))}}  ", colours.muted)
                text.append(f"{label(row.text, 300)}\n", colours.plain)
            text.append("\n")
        if trouble is not None:
            text.append(f"⚠ {trouble}", colours.warning)
        return text
