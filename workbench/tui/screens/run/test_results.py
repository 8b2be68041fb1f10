"""The results of the tests of a run: those that failed first; below, what is known of the one under the cursor."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from workbench.client.errors import ClientError
from workbench.client.models import Run
from workbench.client.test_results import TestHistory, TestReport, TestResult
from workbench.report.failure_card import step_definition
from workbench.report.source_location import SourceLocation
from workbench.report.test_results import (
    detail_lines,
    display_name,
    find_test_source,
    history_of,
    history_signs,
    is_flaky,
    ordered,
    summary_text,
)
from workbench.text.sanitize import sanitize_label, sanitize_line
from workbench.tui.keys import key_label
from workbench.tui.screens.run.source_actions import SourceActions
from workbench.tui.services.interfaces import LaunchError
from workbench.tui.theme import Palette, palette
from workbench.tui.user_work import user_work
from workbench.tui.widgets.header import HeaderBar
from workbench.tui.widgets.key_footer import KeyFooter
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.tests_list import TestsList
from workbench.tui.widgets.text_pane import TextPane

_MAX_LINES = 1_000
"""Lines of details that are shown; the CLI has all."""
_HISTORY_SHOWN = 50


class TestsScreen(SourceActions):
    """The tests of all steps of a run, or first those of one of them."""

    __test__ = False
    CSS_PATH = "../details.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,T", "app.pop_screen", "Back", id="tests.back", tooltip="Go back to the run"),
        Binding("F", "rerun_failed", "Rerun failed tests", id="tests.rerun-failed",
                tooltip="Run only the tests that failed again, on the same files"),
        Binding("M", "resume", "On current files", id="tests.resume",
                tooltip="Run only the tests that failed, on the files of this folder as they are now"),
    ]  # fmt: skip
    WRITING_ACTIONS: ClassVar[tuple[str, ...]] = ("rerun_failed", "resume")

    def __init__(self, run: str, step: str | None = None) -> None:
        """`step`: the name of the step whose tests are selected first, if it has any."""
        super().__init__()
        self._run_name, self._step_name = run, step
        self._report: TestReport | None = None
        self._histories: dict[str, TestHistory] = {}
        self._error: str | None = None
        self._counted: tuple[object, ...] | None = None
        """What the run's status says of its tests, as it was when they were listed."""
        self._shown: TestResult | None = None

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        yield Static("Loading …", id="tests-summary", classes="details-hint", markup=False)
        yield TestsList(id="tests")
        with TextPane(id="tests-details"):
            yield Static(id="tests-text", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        self.show_breadcrumbs("runs", self._run_name, "tests")
        self.query_one(TestsList).focus()

    @property
    def current_run(self) -> str | None:
        return self._run_name

    @property
    def current_step(self) -> str | None:
        test, run = self.query_one(TestsList).current, self._run()
        steps = run.steps if run is not None else ()
        return next((step.name for step in steps if test is not None and step.slug == test.step), self._step_name)

    def _run(self) -> Run | None:
        return self.workbench.feed.runs.get(self._run_name)

    def runs_changed(self) -> None:
        run = self._run()
        counted = tuple(attempt.tests for step in run.steps for attempt in step.attempts) if run is not None else ()
        if counted != self._counted or self._error is not None:
            self._counted = counted
            self._load()

    def connection_changed(self) -> None:
        if self.workbench.feed.connection_error is None and self._report is None:
            self._load()

    @work(group="tests", exclusive=True, description="list the tests")
    async def _load(self) -> None:
        controller = self.workbench.feed.controller
        if controller is None:
            self._say("There is no connection to the controller yet.")
            return
        try:
            with self.keys_wait_for_list(loaded=self._report is not None):
                self._report = await controller.list_tests(self._run_name)
                self._error = None
                self._show()
            # The list does not wait for them.
            for step in self._report.steps:
                if step.total:
                    self._histories[step.step] = await controller.read_test_history(self._run_name, step.step)
            self._show()
        except ClientError as error:
            self._error = sanitize_label(str(error), 400)
            self._say(f"The tests can't be listed: {self._error}")

    def _show(self) -> None:
        report = self._report
        if report is None:
            return
        tests = self.query_one(TestsList)
        found = ordered(report.tests, self._histories)
        is_first = tests.cursor is None
        tests.show(found, self._histories, {step.step: step.name for step in report.steps})
        slug = next((step.step for step in report.steps if step.name == self._step_name), None)
        if is_first and slug is not None:
            key = next((key for key, test in tests.tests.items() if test.step == slug), None)
            if key is not None:
                tests.go_to(key)
        self._say(self._summary(report))
        self._explain(force=True)

    def _summary(self, report: TestReport) -> str:
        if not report.steps:
            run = self._run()
            waiting = run is not None and not run.ended
            return "No tests yet." if waiting else "No step of this run has reports of tests; `reports` adds them."
        flaky = sum(is_flaky(test, self._histories) for test in report.tests)
        text = summary_text(report, flaky)
        partial = [step.name for step in report.steps if step.partial]
        text += f" · of {', '.join(partial)} only what had failed before" if partial else ""
        warnings = [warning for step in report.steps for warning in step.warnings]
        more = f" and {len(warnings) - 1} more" if len(warnings) > 1 else ""
        return sanitize_label(text + (f" · ⚠ {warnings[0]}{more}" if warnings else ""), 400)

    def _say(self, text: str) -> None:
        self.query_one("#tests-summary", Static).update(Text(text))

    @on(ListView.CursorMoved)
    def _cursor_moved(self) -> None:
        self._explain()

    def _explain(self, *, force: bool = False) -> None:
        """Show what is known of the test under the cursor."""
        test = self.query_one(TestsList).current
        if test is not self._shown or force:
            self._shown = test
            text = _details(test, self._histories, palette(self.app)) if test is not None else Text()
            self.query_one("#tests-text", Static).update(text)
            self.query_one("#tests-details", TextPane).scroll_home(animate=False)

    @on(ListView.Opened)
    def _focus_details(self) -> None:
        self.query_one("#tests-details", TextPane).focus()

    @on(TestsList.EditRequested)
    @work(group="open source", exclusive=True, description="open the source of a test")
    async def _open_source(self) -> None:
        test = self.query_one(TestsList).current
        if test is None:
            return
        source = await asyncio.to_thread(self._source_of, test)
        if source is None:
            named = sanitize_label(test.file, 200) if test.file else None
            self.notify(
                f"{named} is not a file of this folder." if named else "The report does not say where this test is.",
                severity="warning",
                markup=False,
            )
        else:
            self._edit(source)

    def _source_of(self, test: TestResult) -> SourceLocation | None:
        run = self._run()
        step = next((each for each in run.steps if each.slug == test.step), None) if run is not None else None
        folder = step_definition(run, step).get("workingDir") if run is not None and step is not None else None
        return find_test_source(self._source_root(), test, folder if isinstance(folder, str) else None)

    def _can_rerun(self) -> bool:
        """Whether the run has ended with failed tests and says how to run them; if not, says why."""
        run, report = self._run(), self._report
        if run is not None and not run.ended:
            self.notify(f"{sanitize_label(run.name, 60)} has not ended yet.", markup=False)
        elif report is None or not any(step.failed for step in report.steps):
            self.notify("No test failed.", markup=False)
        elif not any(step.failed and step.can_rerun_failed for step in report.steps):
            step = next(step for step in report.steps if step.failed)
            again = key_label(self.app, "run.rerun-failed", "F")
            self.notify(
                f"{sanitize_label(step.name, 60)} does not say how only its failed tests are run: add `rerunFailed` to "
                f"it, or run the whole step with {again} in the run.",
                severity="warning",
                markup=False,
                timeout=10,
            )
        else:
            return True
        return False

    @user_work("run the failed tests again")
    async def action_rerun_failed(self) -> None:
        controller, asked_in = self.workbench.feed.controller, self.app.focused
        if not self._can_rerun() or controller is None:
            return
        try:
            with self.workbench.hold_keys():
                again = await controller.rerun(self._run_name, idempotency_key=str(uuid.uuid4()), failed_tests=True)
        except ClientError as error:
            self._not_started(error)
            return
        self.workbench.open_started(again.name, asked_in)

    @user_work("run the failed tests on the current files")
    async def action_resume(self) -> None:
        controller, launcher, run = self.workbench.feed.controller, self.workbench.launcher, self._run()
        asked_in = self.app.focused
        if launcher is None:
            edit = key_label(self.app, "app.edit", "e")
            self.notify(f"There is no .c8s.yaml in this folder; {edit} creates one.", severity="warning", markup=False)
            return
        if not self._can_rerun() or controller is None or run is None:
            return
        try:
            with self.workbench.hold_keys():
                pipeline = await launcher.load()
                if pipeline.definition is None:
                    from workbench.tui.screens.dialogs import ProblemsDialog

                    self.app.push_screen(ProblemsDialog(launcher.path.name, pipeline.problems))
                    return
                definition = pipeline.definition
                declared = {str(each.get("name")) for each in definition.get("params") or ()}
                params = {name: value for name, value in run.params.items() if name in declared}
                result = await launcher.launch(controller, definition, params=params, failed_tests_of=run.name)
        except (ClientError, LaunchError) as error:
            self._not_started(error)
            return
        for warning in result.warnings[:5]:
            self.notify(sanitize_label(warning, 300), severity="warning", markup=False)
        self.workbench.open_started(result.run.name, asked_in)

    def _not_started(self, error: Exception) -> None:
        text = sanitize_label(str(error), 400)
        self.notify(text, title="Not started", severity="error", markup=False, timeout=15)


def _details(test: TestResult, histories: Mapping[str, TestHistory], colours: Palette) -> Text:
    text = Text(f"{sanitize_label(display_name(test), 500)}", colours.bold)
    place = f"{test.file}:{test.line}" if test.file and test.line else test.file or ""
    if place:
        text.append(f"   {sanitize_label(place, 300)}", colours.accent)
    text.append("\n")
    if letters := history_of(test, histories):
        runs = histories[test.step].runs
        signs = history_signs(letters, _HISTORY_SHOWN)
        since = f" since {sanitize_label(runs[max(0, len(runs) - _HISTORY_SHOWN)], 63)}" if runs else ""
        flaky = "   flaky: it failed and passed on the same inputs" if is_flaky(test, histories) else ""
        text.append(f"{signs}{since}", colours.muted).append(f"{flaky}\n", colours.warning)
    styles: Mapping[str, Style] = {
        "title": colours.bold,
        "message": colours.error,
        "expected": colours.success,
        "actual": colours.error,
        "muted": colours.muted,
    }
    text.append("\n")
    for number, line in enumerate(detail_lines(test)):
        if number == _MAX_LINES:
            text.append("… `c8s tests --output json` has the rest", colours.muted)
            break
        text.append(f"{sanitize_line(line.text, colour=False)}\n", styles.get(line.kind, colours.plain))
    return text
