"""A run or one of its steps at closer sight: why, attempts, environment, artifacts to save, events, the frozen YAML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.segment import Segment
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Footer, Static, TabbedContent, TabPane

from workbench.client.errors import ClientError
from workbench.client.models import Artifact, Run, RunEvent, Step
from workbench.logs.save import SaveError, reserved
from workbench.report.details import Fact, environment, frozen_yaml, run_facts, step_facts
from workbench.text.sanitize import clean, label
from workbench.tui.base_app import key_of
from workbench.tui.screens.base import WorkbenchScreen
from workbench.tui.terminal.external_programs import open_file, opened_folder
from workbench.tui.theme import Palette, palette
from workbench.tui.widgets.header import TopBar
from workbench.tui.widgets.list_view import Rows
from workbench.tui.widgets.segments import age_text, cell

_NAMES = 18


class ArtifactList(Rows):
    """The files that steps left behind. Keys are `<slug>/<path>`."""

    HELP_TITLE: ClassVar[str] = "Artifacts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "look", "Look", id="artifacts.look", tooltip="Open the file without keeping it here"),
    ]

    @dataclass
    class LookWanted(Message):
        """The file is to be opened."""

        artifact: Artifact

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.artifacts: dict[str, Artifact] = {}

    def show(self, artifacts: tuple[Artifact, ...]) -> None:
        self.artifacts = {f"{each.step}/{each.path}": each for each in artifacts}
        self.show_keys(list(self.artifacts))

    def action_look(self) -> None:
        if self.cursor is not None:
            self.post_message(self.LookWanted(self.artifacts[self.cursor]))

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        each = self.artifacts[key]
        names = max(width - 38, 10)
        return Strip(
            [
                cell(f" {label(each.step, 20)}", 22, colours.muted),
                cell(label(each.path, names), names, colours.plain),
                Segment(" "),
                cell(f"{each.size:,} B", 14, colours.muted, right=True),
            ]
        )


class DetailsScreen(WorkbenchScreen):
    """Tabs over one run, and over one of its steps where one is named."""

    CSS_PATH = "details.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,d", "app.pop_screen", "Back", id="details.back", tooltip="Back to the run"),
    ]

    def __init__(self, run: str, step: str | None) -> None:
        super().__init__()
        self._run_name, self._step_name = run, step
        self._run: Run | None = None
        self._events: tuple[RunEvent, ...] | None = None
        self._trouble: str | None = None

    def compose(self) -> ComposeResult:
        yield TopBar()
        with TabbedContent(initial="why"):
            for name, title in (("why", "Why"), ("environment", "Environment"), ("events", "Events"), ("yaml", "YAML")):
                with TabPane(title, id=name), VerticalScroll():
                    yield Static(id=f"details-{name}", markup=False)
            with TabPane("Artifacts", id="artifacts"):
                saves, opens = key_of(self.app, "rows.open", "Enter"), key_of(self.app, "artifacts.look", "o")
                told = f"{saves} saves a file into this folder, {opens} opens it."
                yield Static(told, classes="details-hint", markup=False)
                yield ArtifactList(id="details-artifacts")
        yield Footer()

    def on_mount(self) -> None:
        super().on_mount()
        self._ask()

    @property
    def run_in_hand(self) -> str | None:
        return self._run_name

    def runs_changed(self) -> None:
        listed = self.workbench.feed.runs.get(self._run_name)
        self.show_crumbs("runs", self._run_name, *((self._step_name,) if self._step_name else ()), "details")
        run = listed or self._run
        if run is None:
            return
        # The list has no definitions; the run that was asked for has one, and it never changes.
        step = run.step(self._step_name) if self._step_name is not None else None
        frozen = self._run or run
        colours, now = palette(self.app), self.workbench.now()
        why = (*(step_facts(run, step, now) if step is not None else ()), *run_facts(run))
        self._say("why", facts_text(why, colours))
        self._say("environment", self._environment(frozen, step, colours))
        self._say("events", self._events_text(colours))
        yaml = frozen_yaml(frozen, step) or ("Asking …" if self._run is None else "The run does not carry it.")
        self._say("yaml", Text("\n".join(clean(line, colour=False) for line in yaml.split("\n"))))
        artifacts = step.artifacts if step is not None else tuple(a for each in run.steps for a in each.artifacts)
        self.query_one(ArtifactList).show(artifacts)

    def _say(self, name: str, text: Text) -> None:
        self.query_one(f"#details-{name}", Static).update(text)

    @staticmethod
    def _environment(run: Run, step: Step | None, colours: Palette) -> Text:
        if step is None:
            return Text("Open the details of a step to see its environment.", colours.muted)
        return facts_text(environment(run, step), colours)

    def _events_text(self, colours: Palette) -> Text:
        if self._events is None:
            return Text(self._trouble or "Asking …", colours.warning if self._trouble else colours.muted)
        text = Text("" if self._events else "The cluster has told of nothing.", colours.muted)
        for event in self._events:
            style = colours.warning if event.type == "Warning" else colours.plain
            text.append(f"{age_text(event.last_time, self.workbench.now()):>4}  ", colours.muted)
            text.append(f"{label(event.reason, 24):<24}  ", style)
            text.append(f"{label(f'{event.kind} {event.name}', 40)}  ", colours.muted)
            text.append(f"{label(event.message, 400)}{f' (×{event.count})' if event.count > 1 else ''}\n", style)
        return text

    @work(group="details", exclusive=True, description="ask for the definition and the events")
    async def _ask(self) -> None:
        controller = self.workbench.feed.controller
        if controller is None:
            return
        try:
            self._run = await controller.run(self._run_name)
            self.runs_changed()
            self._events = await controller.events(self._run_name)
        except ClientError as error:
            self._trouble = label(str(error), 400)
        self.runs_changed()

    @on(Rows.Opened)
    @work(group="artifact", exclusive=True, description="save an artifact")
    async def _save(self, event: Rows.Opened) -> None:
        artifact, controller = self.query_one(ArtifactList).artifacts[event.key], self.workbench.feed.controller
        if controller is None:
            return
        try:
            with reserved(Path.cwd(), artifact.path.rsplit("/", 1)[-1]) as target:
                size = await controller.download_file(self._run_name, artifact.step, artifact.path, target)
        except (ClientError, SaveError, OSError) as error:
            self.notify(label(str(error), 400), title="Not saved", severity="error", markup=False)
            return
        self.notify(f"Saved {size:,} bytes to {label(str(target), 200)}", markup=False)

    @on(ArtifactList.LookWanted)
    @work(group="artifact", exclusive=True, description="open an artifact")
    async def _look(self, event: ArtifactList.LookWanted) -> None:
        """Open a copy that is gone when the workbench is."""
        artifact, controller = event.artifact, self.workbench.feed.controller
        if controller is None:
            return
        try:
            with reserved(opened_folder(), artifact.path.rsplit("/", 1)[-1]) as target:
                await controller.download_file(self._run_name, artifact.step, artifact.path, target)
        except (ClientError, SaveError, OSError) as error:
            self.notify(label(str(error), 400), title="Not opened", severity="error", markup=False)
            return
        await open_file(self.app, target)


def facts_text(facts: tuple[Fact, ...], colours: Palette) -> Text:
    """Names to the left, what is to be said of them to the right."""
    text = Text()
    for fact in facts:
        text.append(f"{label(fact.name, 40):<{_NAMES}} ", colours.muted)
        text.append(f"{label(fact.text, 2_000)}\n", colours.plain)
    return text
