"""The start: shown by `c8s` where there is no sandbox yet. It ends with a place to open the workbench on, or with none.

An app of its own, so that the workbench never has to be without a place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from rich.segment import Segment
from rich.text import Text
from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.strip import Strip
from textual.widgets import Footer, Static
from textual.worker import Worker

from workbench.client.endpoint import Endpoint
from workbench.session.startup_progress import Event, Seen
from workbench.text.sanitize import clean, label
from workbench.tui.base_app import PLAIN, FramedApp, Likings
from workbench.tui.setup.providers import Need, StartError, Way
from workbench.tui.theme import Palette, palette
from workbench.tui.widgets.list_view import Rows

_SIGNS = {"waiting": "●", "running": "◐", "done": "✓", "already": "✓", "failed": "✗", "stopped": "⊘"}
_LEVELS = {"ok": "✓", "warning": "!", "error": "✗"}
_OUTPUT = 7


class Ways(Rows):
    """The kinds of sandboxes. Keys are their places in the list."""

    def __init__(self, ways: Sequence[Way], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ways = ways

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        return Strip([Segment(f" {self._ways[int(key)].title}", colours.plain)])


class StartApp(FramedApp[Endpoint | None]):
    """Enter brings the chosen one up; Escape stops that, and leaves when nothing is under way."""

    CSS_PATH = "app.tcss"
    TITLE = "c8s"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "stop", "Stop", priority=True, id="start.stop",
                tooltip="Stop what is under way; what is done stays and is not done again"),
        Binding("q", "leave", "Quit", id="start.quit", tooltip="Leave"),
    ]  # fmt: skip

    def __init__(self, ways: Sequence[Way], likings: Likings = PLAIN) -> None:
        super().__init__(likings)
        self._ways = ways
        self._needs: dict[int, Sequence[Need] | None] = {}
        self._seen: Seen | None = None
        self._failure: StartError | None = None
        self._going: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="start-title", markup=False)
        yield Ways(self._ways, id="start-ways")
        with VerticalScroll(id="start-body", can_focus=False):
            yield Static(id="start-facts", markup=False)
        yield Static(id="start-output", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        title = Text("There is no sandbox yet. ", self._colours.bold)
        title.append("Choose where your pipelines run; Enter starts it.", self._colours.muted)
        self.query_one("#start-title", Static).update(title)
        ways = self.query_one(Ways)
        ways.show_keys([str(place) for place in range(len(self._ways))])
        ways.focus()
        for place in range(len(self._ways)):
            self._look(place)
        self._draw()

    @property
    def _colours(self) -> Palette:
        return palette(cast(App[object], self))

    @property
    def _chosen(self) -> int:
        return int(self.query_one(Ways).cursor or 0)

    @work(description="look at what a way needs")
    async def _look(self, place: int) -> None:
        self._needs[place] = await self._ways[place].needs()
        self._draw()

    @on(Rows.Moved)
    def _other(self) -> None:
        if self._going is None:
            self._seen = self._failure = None
        self._draw()

    @on(Rows.Opened)
    def _begin(self) -> None:
        if self._going is None:
            self._going = self._bring_up(self._ways[self._chosen])

    @work(group="start", exclusive=True, description="bring the sandbox up")
    async def _bring_up(self, way: Way) -> None:
        self._seen, self._failure = Seen.planned(way.steps()), None
        self._draw()
        try:
            self.exit(await way.bring_up(self._heard))
        except StartError as error:
            self._failure = error
        finally:
            self._going = None
            if self._seen is not None:
                self._seen = self._seen.stopped()
            if self.is_running:
                self._draw()

    def _heard(self, event: Event) -> None:
        if self._seen is not None:
            self._seen = self._seen.after(event)
            self._draw()

    def action_stop(self) -> None:
        if self._going is not None:
            self._going.cancel()
            self.notify("Stopped. What is done stays; Enter goes on from there.")
        else:
            self.exit(None)

    def action_leave(self) -> None:
        if self._going is not None:
            self._going.cancel()
        self.exit(None)

    def _draw(self) -> None:
        colours, way = self._colours, self._ways[self._chosen]
        text = Text()
        if self._seen is None:
            text.append(f"{way.about}\n\n", colours.plain)
            self._draw_needs(text, colours)
        else:
            self._draw_steps(text, self._seen, colours)
        if self._failure is not None:
            text.append(f"\n{label(str(self._failure), 800)}\n", colours.error)
            text.append(f"{label(self._failure.remedy, 400)}\nEnter tries again and goes on from there.", colours.plain)
        self.query_one("#start-facts", Static).update(text)
        said = self._seen.output[-_OUTPUT:] if self._seen is not None else ()
        output = self.query_one("#start-output", Static)
        output.display = bool(said)
        output.update(Text("\n".join(clean(line, colour=False)[:300] for line in said), no_wrap=True))

    def _draw_needs(self, text: Text, colours: Palette) -> None:
        needs = self._needs.get(self._chosen)
        if needs is None:
            text.append("Looking at what is there …", colours.muted)
            return
        styles = {"ok": colours.success, "warning": colours.warning, "error": colours.error}
        text.append("It needs\n", colours.bold)
        for need in needs:
            text.append(f" {_LEVELS[need.level]} ", styles[need.level])
            text.append(f"{label(need.name, 14):<15}", colours.muted)
            text.append(f"{label(need.found, 200)}\n", colours.plain)
            if need.level != "ok" and need.remedy:
                text.append(f"{'':18}{label(need.remedy, 300)}\n", styles[need.level])

    def _draw_steps(self, text: Text, seen: Seen, colours: Palette) -> None:
        styles = {"running": colours.running, "done": colours.success, "already": colours.success,
                  "failed": colours.error, "stopped": colours.warning}  # fmt: skip
        text.append(f"{seen.done} of {len(seen.steps)} steps done\n", colours.bold)
        for step in seen.steps:
            took = f"{step.seconds:6.1f} s" if step.seconds is not None and step.state != "running" else " " * 8
            text.append(f" {_SIGNS[step.state]} ", styles.get(step.state, colours.faint))
            text.append(f"{took}  {label(step.title, 60)}", colours.plain)
            text.append(f"  {label(step.text, 160)}\n", colours.muted)
