"""The setup app, which `c8s` shows while no sandbox runs. It returns the endpoint of a sandbox, or None.

It is a separate app, so that the workbench always has an endpoint.
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
from textual.widgets import Static
from textual.worker import Worker

from workbench.client.endpoint import Endpoint
from workbench.session.startup_progress import StartupProgress, StepEvent
from workbench.text.format import plural
from workbench.text.sanitize import sanitize_label, sanitize_line
from workbench.tui.base_app import BaseApp
from workbench.tui.options import DEFAULT_OPTIONS, AppOptions
from workbench.tui.setup.providers import Requirement, SandboxProvider, SandboxStartError
from workbench.tui.theme import Palette, palette
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.list_view import ListView

_STATE_SIGNS = {"waiting": "●", "running": "◐", "done": "✓", "already": "✓", "failed": "✗", "stopped": "⊘"}
_LEVEL_SIGNS = {"ok": "✓", "warning": "!", "error": "✗"}
_MAX_OUTPUT_LINES = 7
_INTERRUPTED = 130
"""The exit code after Ctrl-C."""


class ProviderList(ListView):
    """The providers. Keys are their indexes."""

    def __init__(self, providers: Sequence[SandboxProvider], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._providers = providers

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        return Strip([Segment(f" {self._providers[int(key)].title}", colours.plain)])


class SetupApp(BaseApp[Endpoint | None]):
    """Enter starts the selected provider; Escape stops the start, or quits when nothing is starting."""

    CSS_PATH = "app.tcss"
    TITLE = "c8s"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "Stop", priority=True, id="start.stop",
                tooltip="Stop the start; steps that are done are not repeated"),
        Binding("ctrl+c", "interrupt", "Stop", show=False, priority=True, id="start.interrupt",
                tooltip="Stop the start; where the workbench follows it, leave"),
        Binding("q", "leave", "Quit", id="start.quit", tooltip="Quit"),
    ]  # fmt: skip

    def __init__(
        self,
        providers: Sequence[SandboxProvider],
        options: AppOptions = DEFAULT_OPTIONS,
        *,
        starts_at_once: bool = False,
    ) -> None:
        """With `starts_at_once`, the first provider is started without a question."""
        super().__init__(options)
        self._starts_at_once = starts_at_once
        self._providers = providers
        self._requirements: dict[int, Sequence[Requirement] | None] = {}
        self._progress: StartupProgress | None = None
        self._error: SandboxStartError | None = None
        self._start_worker: Worker[None] | None = None
        self._shown_index = 0

    def compose(self) -> ComposeResult:
        yield Static(id="start-title", markup=False)
        yield ProviderList(self._providers, id="start-ways")
        with VerticalScroll(id="start-body", can_focus=False):
            yield Static(id="start-facts", markup=False)
        yield Static(id="start-output", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        if self._starts_at_once:
            title = Text("The sandbox is being started.", self._palette.bold)
        else:
            title = Text("There is no sandbox yet. ", self._palette.bold)
            title.append("Choose where your pipelines run; Enter starts it.", self._palette.muted)
        self.query_one("#start-title", Static).update(title)
        ways = self.query_one(ProviderList)
        ways.show_keys([str(place) for place in range(len(self._providers))])
        ways.focus()
        for place in range(len(self._providers)):
            self._check_requirements(place)
        self._draw_details()
        if self._starts_at_once:
            self._start_selected()

    @property
    def _palette(self) -> Palette:
        return palette(cast(App[object], self))

    @property
    def _selected_index(self) -> int:
        return int(self.query_one(ProviderList).cursor or 0)

    @work(description="look at what a way needs")
    async def _check_requirements(self, index: int) -> None:
        self._requirements[index] = await self._providers[index].requirements()
        self._draw_details()

    @on(ListView.CursorMoved)
    def _provider_changed(self) -> None:
        if self._start_worker is None and self._selected_index != self._shown_index:
            self._progress = self._error = None
        self._shown_index = self._selected_index
        self._draw_details()

    @on(ListView.Opened)
    def _start_selected(self) -> None:
        if self._start_worker is None:
            worker = self._start_provider(self._providers[self._selected_index])
            # From Python 3.12 on, Textual's tasks begin at once: it may have drawn without its worker, or have ended.
            self._start_worker = worker if not worker.is_finished else None
            self._draw_details()

    @work(group="start", exclusive=True, description="bring the sandbox up")
    async def _start_provider(self, provider: SandboxProvider) -> None:
        self._progress, self._error = StartupProgress.planned(provider.steps()), None
        self._draw_details()
        try:
            self.exit(await provider.start(self._apply_progress))
        except SandboxStartError as error:
            self._error = error
        finally:
            self._start_worker = None
            if self._progress is not None:
                self._progress = self._progress.stopped()
            if self.is_running:
                self._draw_details()

    def _apply_progress(self, event: StepEvent) -> None:
        if self._progress is not None:
            self._progress = self._progress.apply(event)
            self._draw_details()

    def action_stop(self) -> None:
        if self._start_worker is not None:
            self._start_worker.cancel()
            self.notify("Stopped. Enter continues from here.")
        else:
            self.exit(None)

    def action_interrupt(self) -> None:
        if self._starts_at_once:
            self._leave(_INTERRUPTED)
        else:
            self.action_stop()

    def action_leave(self) -> None:
        self._leave(0)

    def _leave(self, code: int) -> None:
        if self._start_worker is not None:
            self._start_worker.cancel()
        self.exit(None, code)

    def _draw_details(self) -> None:
        if not self.query(ProviderList):
            return  # It is being left: what reports on a start may go on for a moment.
        self.query_one(KeyFooter).show_actions(("start.stop",) if self._start_worker is not None else (), first=False)
        colours, way = self._palette, self._providers[self._selected_index]
        text = Text()
        if self._progress is None:
            text.append(f"{way.description}\n\n", colours.plain)
            self._draw_requirements(text, colours)
        else:
            self._draw_steps(text, self._progress, colours)
        if self._error is not None:
            text.append(f"\n{sanitize_label(str(self._error), 800)}\n", colours.error)
            text.append(f"{sanitize_label(self._error.remedy, 400)}\nEnter tries again from here.", colours.plain)
        self.query_one("#start-facts", Static).update(text)
        said = self._progress.output[-_MAX_OUTPUT_LINES:] if self._progress is not None else ()
        output = self.query_one("#start-output", Static)
        output.display = bool(said)
        output.update(Text("\n".join(sanitize_line(line, colour=False)[:300] for line in said), no_wrap=True))

    def _draw_requirements(self, text: Text, colours: Palette) -> None:
        needs = self._requirements.get(self._selected_index)
        if needs is None:
            text.append("Checking …", colours.muted)
            return
        styles = {"ok": colours.success, "warning": colours.warning, "error": colours.error}
        text.append("It needs\n", colours.bold)
        for need in needs:
            text.append(f" {_LEVEL_SIGNS[need.level]} ", styles[need.level])
            text.append(f"{sanitize_label(need.name, 14):<15}", colours.muted)
            text.append(f"{sanitize_label(need.found, 200)}\n", colours.plain)
            if need.level != "ok" and need.remedy:
                text.append(f"{'':18}{sanitize_label(need.remedy, 300)}\n", styles[need.level])

    def _draw_steps(self, text: Text, seen: StartupProgress, colours: Palette) -> None:
        styles = {"running": colours.running, "done": colours.success, "already": colours.success,
                  "failed": colours.error, "stopped": colours.warning}  # fmt: skip
        text.append(f"{seen.done} of {plural(len(seen.steps), 'step')} done\n", colours.bold)
        for step in seen.steps:
            took = f"{step.seconds:6.1f} s" if step.seconds is not None and step.state != "running" else " " * 8
            text.append(f" {_STATE_SIGNS[step.state]} ", styles.get(step.state, colours.faint))
            text.append(f"{took}  {sanitize_label(step.title, 60)}", colours.plain)
            text.append(f"  {sanitize_label(step.text, 160)}\n", colours.muted)
