"""The part of the workbench that starts runs: finds the pipeline, asks what is missing, and sends the working tree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from textual.signal import Signal
from textual.widget import Widget
from textual.widgets import Input, TextArea

from workbench.client.errors import ClientError
from workbench.client.models import Run
from workbench.runs.holds import Breakpoints, NextHolds, step_names
from workbench.text.sanitize import sanitize_label
from workbench.tui.base_app import BaseApp
from workbench.tui.keys import key_label
from workbench.tui.options import DEFAULT_OPTIONS, AppOptions
from workbench.tui.services.interfaces import ControllerApi, LaunchResult, RunLauncher
from workbench.tui.services.launcher import FileLauncher
from workbench.tui.services.run_feed import RunFeed
from workbench.tui.user_work import user_work


class LaunchingApp(BaseApp[int]):
    """The base of the workbench, which sets `feed` and `runs_changed`."""

    feed: RunFeed
    runs_changed: Signal[None]
    command_options: str

    def __init__(self, options: AppOptions = DEFAULT_OPTIONS) -> None:
        super().__init__(options)
        self.launcher: RunLauncher | None = None
        """Starts runs of this folder's pipeline, if it has one."""
        self.make_launcher: Callable[[Path], RunLauncher] = FileLauncher
        self.find_pipeline: Callable[[], Path | None] | None = None
        self.next_holds = NextHolds()
        self._last_params: dict[str, str] = {}
        """The parameter values of the last run."""
        self._being_started: set[str] = set()

    @contextmanager
    def start_once(self, what: str) -> Iterator[bool]:
        """Whether `what`, such as `A run of shop`, is not being started already; else this says so."""
        if what in self._being_started:
            self.notify(f"{what} is being started already.", markup=False)
            yield False
            return
        self._being_started.add(what)
        try:
            yield True
        finally:
            self._being_started.discard(what)

    def open_started(self, name: str, asked_in: Widget | None) -> None:
        """Show a run that has started, unless the user is typing something else by now.

        Args:
            asked_in: what had the focus when the run was asked for.
        """
        is_typing = isinstance(self.focused, (Input, TextArea)) and self.focused is not asked_in
        if self.screen.is_modal or is_typing:
            self.notify(f"{sanitize_label(name, 60)} has started.", markup=False)
        else:
            self.open_run(name)

    def open_run(self, name: str) -> None:
        """Show a run."""
        raise NotImplementedError

    def pipeline_saved(self, path: Path) -> None:
        """Called when the editor has saved a file, so that it can be run."""
        if self.launcher is None:
            self.launcher = self.make_launcher(path)

    def notice_pipeline(self) -> None:
        """Use a pipeline file that was written outside of the workbench."""
        if self.launcher is not None or self.find_pipeline is None:
            return
        path = self.find_pipeline()
        if path is not None:
            self.pipeline_saved(path)
            self.runs_changed.publish(None)

    def action_launch(self) -> None:
        self.notice_pipeline()
        row = self._run_under_cursor()
        if self.launcher is None and row is not None:
            self._offer_rerun(row)
        elif self.launcher is None:
            edit = key_label(self, "app.edit", "e")
            message = f"There is no .c8s.yaml in this folder to run; {edit} creates one."
            self.notify(message, severity="warning", markup=False)
        elif not self.screen.is_modal:
            self._launch_if_connected(self.launcher, row=row)

    def _run_under_cursor(self) -> Run | None:
        from workbench.tui.screens.base import WorkbenchScreen

        screen = self.screen
        return self.feed.runs.get(screen.listed_run or "") if isinstance(screen, WorkbenchScreen) else None

    @user_work("offer to run a run again")
    async def _offer_rerun(self, row: Run) -> None:
        """In a folder without a pipeline, Run can only be about the run under the cursor."""
        from workbench.tui.screens.dialogs import ConfirmDialog

        name, edit = sanitize_label(row.name, 60), key_label(self, "app.edit", "e")
        detail = f"There is no .c8s.yaml in this folder; {edit} creates one."
        if await self.push_screen_wait(ConfirmDialog(f"Run {name} again?", detail, "Run again")):
            self._rerun(row)

    def _rerun(self, row: Run) -> None:
        from workbench.tui.screens.run.actions import RunActions

        if isinstance(self.screen, RunActions) and self.screen.current_run == row.name:
            self.screen.action_rerun(False)

    def launch_text(self, path: Path, text: str) -> None:
        """Run this text as the pipeline at `path`, saved or not, on the working tree around it."""
        self._launch_if_connected(self.launcher or self.make_launcher(path), text=text)

    def launch_with(self, launcher: RunLauncher, reuse_from: str | None = None) -> None:
        """Run the launcher's pipeline. Steps of the run `reuse_from` that succeeded and are unchanged are reused."""
        self._launch_if_connected(launcher, reuse_from=reuse_from)

    def _launch_if_connected(
        self,
        launcher: RunLauncher,
        *,
        text: str | None = None,
        reuse_from: str | None = None,
        row: Run | None = None,
    ) -> None:
        if self.feed.controller is None or self.feed.connection_error is not None:
            self.notify("There is no connection to the controller.", severity="warning")
        else:
            self._launch(launcher, self.feed.controller, text, reuse_from, row)

    @user_work("start a run")
    async def _launch(
        self,
        launcher: RunLauncher,
        controller: ControllerApi,
        text: str | None,
        reuse_from: str | None,
        row: Run | None,
    ) -> None:
        asked_in = self.focused
        with self.start_once(f"A run of {sanitize_label(launcher.path.name, 60)}") as is_first:
            name = await self._start_run_of(launcher, controller, text, reuse_from, row) if is_first else None
        if name is not None:
            self.open_started(name, asked_in)

    async def _start_run_of(
        self,
        launcher: RunLauncher,
        controller: ControllerApi,
        text: str | None,
        reuse_from: str | None,
        row: Run | None,
    ) -> str | None:
        """Ask what has to be known, and start a run; its name, or None if there is none."""
        from workbench.tui.services.interfaces import LaunchError

        try:
            # What is typed meanwhile is for the dialog.
            with self.hold_keys():
                pipeline = await launcher.load(text)
                if pipeline.definition is None:
                    from workbench.tui.screens.dialogs import ProblemsDialog

                    self.push_screen(ProblemsDialog(launcher.path.name, pipeline.problems))
                    return None
                if problem := self._resume_problem(pipeline.definition, reuse_from):
                    self.notify(problem, title="Not started", severity="warning", markup=False, timeout=10)
                    return None
                choice = self._ask_which(str(pipeline.definition["name"]), row)
            if choice is not None and (chosen := await choice) != "folder":
                if chosen == "row" and row is not None:
                    self._rerun(row)
                return None
            if reuse_from is not None:
                result = await self._resume(launcher, controller, pipeline.definition, reuse_from)
            else:
                result = await self._start(launcher, controller, pipeline.definition)
            if result is None:
                return None
        except (ClientError, LaunchError) as error:
            message = sanitize_label(str(error), 400)
            self.notify(message, title="Not started", severity="error", markup=False, timeout=15)
            return None
        for warning in result.warnings[:5]:
            self.notify(sanitize_label(warning, 300), severity="warning", markup=False)
        self.next_holds.started(str(pipeline.definition["name"]))
        return result.run.name

    async def _start(
        self, launcher: RunLauncher, controller: ControllerApi, definition: Mapping[str, Any]
    ) -> LaunchResult | None:
        """Ask for the parameters and start a run; None if the user gives up. Raises ClientError, LaunchError."""
        with self.hold_keys():
            answer = self._ask_params(definition)
        params = await answer if answer is not None else {}
        if params is None or not await self._confirm_secrets(controller, definition):
            return None
        self._last_params = dict(params) or self._last_params
        packing = f"Uploading the working tree around {sanitize_label(launcher.path.name, 60)}"
        self.notify(packing, markup=False, timeout=2)
        return await launcher.launch(controller, definition, params=params, breakpoints=self.take_holds(definition))

    async def _resume(
        self, launcher: RunLauncher, controller: ControllerApi, definition: Mapping[str, Any], earlier: str
    ) -> LaunchResult | None:
        """Say what would be reused, ask for the parameters, and start a run. Raises ClientError, LaunchError."""
        from workbench.runs.reuse_plan import plan_reuse
        from workbench.session.source_manifests import default_manifests
        from workbench.tui.screens.params import ParamsDialog

        async with AsyncExitStack() as stack:
            with self.hold_keys():
                # What is asked about is what is sent, whatever happens to the files meanwhile.
                source = await stack.enter_async_context(launcher.packed(definition))
                plan = await plan_reuse(
                    controller, earlier, definition, source, default_manifests(), self.feed.runs.get, self.now()
                )
                dialog = ParamsDialog(definition, plan.earlier.params or self._last_params, plan.forecast)
                answer = self.push_screen(dialog, wait_for_dismiss=True)
            params = await answer
            if params is None or not await self._confirm_secrets(controller, definition):
                return None
            self._last_params = dict(params) or self._last_params
            held = self.take_holds(definition)
            return await launcher.launch(
                controller, definition, params=params, reuse_from=earlier, source=source, breakpoints=held
            )

    def take_holds(self, definition: Mapping[str, Any]) -> Breakpoints:
        """The breakpoints of the next run of a pipeline; says which steps it no longer has."""
        found, gone = self.next_holds.take(str(definition.get("name", "")), step_names(definition))
        for name in gone:
            step = sanitize_label(name, 60)
            self.notify(f"{step} is not held: the pipeline no longer has it.", severity="warning", markup=False)
        return found

    def now(self) -> datetime:
        """The time of the runs that are shown."""
        raise NotImplementedError

    def _ask_which(self, pipeline: str, row: Run | None) -> asyncio.Future[str | None] | None:
        """Ask what to run if the cursor is on a run of another pipeline than this folder's: `folder` or `row`."""
        if row is None or row.pipeline == pipeline:
            return None
        from workbench.tui.screens.dialogs import ChoiceDialog

        name, other = sanitize_label(row.name, 40), sanitize_label(row.pipeline, 40)
        here = sanitize_label(pipeline, 40)
        detail = f"The cursor is on a run of {other}. The pipeline of this folder is {here}."
        choices = {"folder": here, "row": f"{name} again"}
        return self.push_screen(ChoiceDialog("Run which one?", detail, choices), wait_for_dismiss=True)

    async def _confirm_secrets(self, controller: ControllerApi, definition: Mapping[str, Any]) -> bool:
        """Whether to start a run of the pipeline: the user decides if it would fail for missing secrets."""
        from workbench.tui.screens.secrets.question import accepted, ask_about_secrets

        with self.hold_keys():
            answer = await ask_about_secrets(self, controller, definition, options=self.command_options)
        return await accepted(self, definition, answer)

    def _resume_problem(self, definition: Mapping[str, Any], reuse_from: str | None) -> str | None:
        """Why this pipeline can't resume a run: it is another one, so that nothing could be reused."""
        run = self.feed.runs.get(reuse_from or "")
        name = str(definition.get("name", ""))
        if run is None or run.pipeline == name:
            return None
        again = key_label(self, "run.rerun", "R")
        return (
            f"{sanitize_label(run.name, 60)} is a run of {sanitize_label(run.pipeline, 60)}, "
            f"and the pipeline of this folder is {sanitize_label(name, 60)}; {again} runs its steps again."
        )

    def _ask_params(self, definition: Mapping[str, Any]) -> asyncio.Future[dict[str, str] | None] | None:
        """Open the dialog for the pipeline's parameters, if it has any. It answers None when the user cancels."""
        if not definition.get("params"):
            return None
        from workbench.tui.screens.params import ParamsDialog

        return self.push_screen(ParamsDialog(definition, self._last_params), wait_for_dismiss=True)
