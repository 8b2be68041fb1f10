"""Details of a run or step: reasons, attempts, environment, artifacts, events and the definition as YAML."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Console
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from workbench.client.errors import ClientError, NotFoundError
from workbench.client.models import Artifact, Run, RunEvent, Step
from workbench.client.statistics import PipelineTrend, Trend
from workbench.report.details import (
    Detail,
    description,
    environment,
    events_of,
    frozen_yaml,
    run_details,
    step_details,
)
from workbench.report.trends import trend_text
from workbench.report.usage import usage_details
from workbench.runs.reuse_explanation import ReuseExplanation, explain_reuse, reuse_details
from workbench.session.source_manifests import default_manifests
from workbench.text.sanitize import sanitize_label, sanitize_line
from workbench.tui.keys import key_label
from workbench.tui.screens.artifacts.actions import ArtifactActions
from workbench.tui.screens.artifacts.artifact_list import ArtifactList, step_names
from workbench.tui.screens.base import clock_text
from workbench.tui.theme import Palette, palette
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.tab_bar import TabBar
from workbench.tui.widgets.text_pane import TextPane

_NAME_WIDTH = 18
_MARGIN = 7
"""Columns around the names and values: padding, a blank between them, the scrollbar."""
_MIN_VALUE_WIDTH = 20

_MAX_ARTIFACTS = 5_000
_SPARKLINE = 30


_TABS = {"why": "Why", "environment": "Environment", "events": "Events", "yaml": "YAML", "artifacts": "Artifacts"}


class DetailsScreen(ArtifactActions):
    """Tabs for a run, or for one of its steps if it is given."""

    CSS_PATH = "details.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,d", "app.pop_screen", "Back", id="details.back", tooltip="Go back to the run"),
        Binding("left,h", "go_tab(-1)", "Previous tab", show=False, id="tabs.previous",
                tooltip="Go to the previous tab"),
        Binding("right,l", "go_tab(1)", "Next tab", id="tabs.next", tooltip="Go to the next tab"),
    ]  # fmt: skip

    def __init__(self, run: str, step: str | None, tab: str = "why") -> None:
        super().__init__()
        self._initial_tab = tab
        self._run_name, self._step_name = run, step
        self._run: Run | None = None
        self._events: tuple[RunEvent, ...] | None = None
        self._artifacts: tuple[Artifact, ...] | None = None
        """None until they are listed."""
        self._artifacts_error: str | None = None
        self._ended_steps = -1
        """How many steps had ended when the artifacts were listed: each may have stored some."""
        self._trend: PipelineTrend | None = None
        """Statistics of the pipeline, once they are read."""
        self._error: str | None = None
        self._reuse: ReuseExplanation | None = None
        """What was reused, and why the other steps ran again; None for a run that reuses nothing."""
        self._explained_steps = -1
        """How many steps had started when the reuse was explained."""

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        yield TabBar(_TABS, self._initial_tab, id="details-tabs")
        for name in ("why", "environment", "events", "yaml"):
            with TextPane(id=name, classes="details-tab"):
                yield Static(id=f"details-{name}", markup=False)
        with Vertical(id="artifacts", classes="details-tab"):
            shows = key_label(self.app, "rows.open", "Enter")
            saves = key_label(self.app, "artifacts.save", "ctrl+s")
            opens = key_label(self.app, "artifacts.look", "o")
            hint = f"{shows} shows a file, {saves} saves it, {opens} opens it in another program."
            yield Static(hint, id="details-artifact-keys", classes="details-hint", markup=False)
            yield Static("Loading …", id="details-no-artifacts", classes="details-hint", markup=False)
            yield ArtifactList(id="details-artifacts")
        yield KeyFooter()

    def on_mount(self) -> None:
        self._show_tab()
        self._fetch()

    @on(TabBar.Activated)
    def _show_tab(self) -> None:
        active = self.query_one(TabBar).active
        for pane in self.query(".details-tab"):
            pane.display = pane.id == active
        self.query_one("#details-artifacts" if active == "artifacts" else f"#{active}").focus()

    def action_go_tab(self, step: int) -> None:
        self.query_one(TabBar).go(step)

    @property
    def current_run(self) -> str | None:
        return self._run_name

    def connection_changed(self) -> None:
        if self.workbench.feed.connection_error is None and (self._run is None or self._events is None):
            self._fetch()
        self.runs_changed()

    def runs_changed(self) -> None:
        listed = self.workbench.feed.runs.get(self._run_name)
        self.show_breadcrumbs("runs", self._run_name, *((self._step_name,) if self._step_name else ()), "details")
        run = listed or self._run
        if run is None:
            return
        # Runs in the list have no definition; the fetched run has one, and it never changes.
        step = run.step(self._step_name) if self._step_name is not None else None
        frozen = self._run or run
        colours, now = palette(self.app), self.workbench.now()
        why = (
            *description(frozen, step),
            *(step_details(run, step, now) if step is not None else ()),
            *(self._usage(frozen, step) if step is not None else ()),
            *self._durations(step),
            *(reuse_details(self._reuse, step) if self._reuse is not None else ()),
            *run_details(run),
        )
        self._set_tab("why", self._details_text(why, colours))
        self._set_tab("environment", self._environment_text(frozen, step, colours))
        self._set_tab("events", self._events_text(step, colours))
        yaml = frozen_yaml(frozen, step) or (
            self.loading_text("The definition") if self._run is None else "The run does not include its definition."
        )
        self._set_tab("yaml", Text("\n".join(sanitize_line(line, colour=False) for line in yaml.split("\n"))))
        self._show_artifacts(run, step)
        if sum(each.ended for each in run.steps) != self._ended_steps:
            self._ended_steps = sum(each.ended for each in run.steps)
            self._list_artifacts()
        if run.may_reuse and sum(bool(each.attempts) for each in run.steps) != self._explained_steps:
            self._explained_steps = sum(bool(each.attempts) for each in run.steps)
            self._explain_reuse()

    def _durations(self, step: Step | None) -> tuple[Detail, ...]:
        """The last durations of the step, or of the pipeline."""
        found: Trend | None = self._trend
        if step is not None and self._trend is not None:
            found = next((each for each in self._trend.steps if each.name == step.name), None)
        text = trend_text(found, _SPARKLINE, ascii_only=self.workbench.ascii_only) if found is not None else ""
        return (Detail("durations", text),) if text else ()

    def _usage(self, frozen: Run, step: Step) -> tuple[Detail, ...]:
        return usage_details(frozen.definition, step, ascii_only=self.workbench.ascii_only)

    def _show_artifacts(self, run: Run, step: Step | None) -> None:
        slug = step.slug if step is not None else None
        shown = tuple(each for each in self._artifacts or () if slug in (None, each.step))
        self.query_one(ArtifactList).show(shown, step_names(run))
        none, ended = self.query_one("#details-no-artifacts", Static), step.ended if step is not None else run.ended
        none.display = not shown
        self.query_one("#details-artifact-keys").display = bool(shown)
        if self._artifacts_error is not None:
            none.update(Text(f"The artifacts can't be listed: {self._artifacts_error}"))
        elif self._artifacts is None:
            none.update(self.loading_text("The artifacts"))
        else:
            none.update("No artifacts." if ended else "No artifacts yet.")

    def _set_tab(self, name: str, text: Text) -> None:
        self.query_one(f"#details-{name}", Static).update(text)

    def _details_text(self, facts: tuple[Detail, ...], colours: Palette) -> Text:
        return details_text(facts, colours, max(self.size.width - _MARGIN - _NAME_WIDTH, _MIN_VALUE_WIDTH))

    def on_resize(self) -> None:
        self.runs_changed()

    def _environment_text(self, run: Run, step: Step | None, colours: Palette) -> Text:
        if step is None:
            return Text("Open the details of a step to see its environment.", colours.muted)
        return self._details_text(environment(run, step), colours)

    def _events_text(self, step: Step | None, colours: Palette) -> Text:
        if self._events is None:
            missing = self._error or self.loading_text("The events")
            return Text(missing, colours.warning if self._error else colours.muted)
        events = events_of(self._events, step)
        of_what = " of the Jobs and pods of this step" if step is not None else ""
        text = Text("" if events else f"There are no events{of_what}.", colours.muted)
        for event in events:
            style = colours.warning if event.type == "Warning" else colours.plain
            time = event.last_time or event.first_time
            text.append(f"{clock_text(time) if time is not None else '':8}  ", colours.muted)
            text.append(f"{sanitize_label(event.reason, 24):<24}  ", style)
            text.append(f"{sanitize_label(f'{event.kind} {event.name}', 40)}  ", colours.muted)
            text.append(
                f"{sanitize_label(event.message, 400)}{f' (×{event.count})' if event.count > 1 else ''}\n", style
            )
        return text

    @work(group="details", exclusive=True, description="ask for the definition and the events")
    async def _fetch(self) -> None:
        controller = self.workbench.feed.controller
        if controller is None:
            return
        try:
            self._run = await controller.run(self._run_name)
            self.runs_changed()
            self._events = await controller.events(self._run_name)
            self.runs_changed()
            self._trend = await controller.statistics(self._run.pipeline)
        except NotFoundError:
            # No run of the pipeline has ended.
            return
        except ClientError as error:
            self._error = sanitize_label(str(error), 400)
        self.runs_changed()

    @work(group="reuse", exclusive=True, description="explain what was reused")
    async def _explain_reuse(self) -> None:
        controller = self.workbench.feed.controller
        if controller is None:
            return
        try:
            run = await controller.run(self._run_name)
            self._reuse = await explain_reuse(controller, run, default_manifests(), self.workbench.now())
        except ClientError as error:
            self._error = sanitize_label(str(error), 400)
        self.runs_changed()

    @work(group="artifacts", exclusive=True, description="list the artifacts")
    async def _list_artifacts(self) -> None:
        controller = self.workbench.feed.controller
        if controller is None:
            return
        try:
            self._artifacts = await controller.artifacts(self._run_name, limit=_MAX_ARTIFACTS)
            self._artifacts_error = None
        except ClientError as error:
            self._artifacts_error = sanitize_label(str(error), 400)
            self.runs_changed()
            self._ended_steps = -1
            return
        if len(self._artifacts) == _MAX_ARTIFACTS:
            text = f"Only {_MAX_ARTIFACTS:,} artifacts are listed. `c8s artifacts {self._run_name}` lists all."
            self.notify(sanitize_label(text, 400), markup=False)
        self.runs_changed()

    @on(ListView.Opened)
    def _show_artifact(self, event: ListView.Opened) -> None:
        from workbench.tui.screens.artifacts.preview import PreviewScreen

        artifact = self.query_one(ArtifactList).artifacts.get(event.key)
        if artifact is not None:
            self.app.push_screen(PreviewScreen(self._run_name, artifact))

    @on(ArtifactList.SaveRequested)
    def _save_requested(self, event: ArtifactList.SaveRequested) -> None:
        self.save_artifact(self._run_name, event.artifact)

    @on(ArtifactList.OpenRequested)
    def _open_requested(self, event: ArtifactList.OpenRequested) -> None:
        self.open_artifact(self._run_name, event.artifact)


def details_text(facts: tuple[Detail, ...], colours: Palette, width: int) -> Text:
    """Names on the left, values on the right in `width` columns."""
    text, console = Text(), Console(width=width)
    for fact in facts:
        name = f"{sanitize_label(fact.name, 40):<{_NAME_WIDTH}} "
        text.append(name, colours.muted)
        rows = Text(sanitize_label(fact.text, 2_000)).wrap(console, max(width - max(len(name) - _NAME_WIDTH - 1, 0), 1))
        below = f"\n{' ' * len(name)}"
        text.append(f"{below.join(row.plain.rstrip() for row in rows)}\n", colours.plain)
    return text
