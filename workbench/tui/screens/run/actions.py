"""Actions on a run that several screens share: rerun, resume, delete, compare, details."""

from __future__ import annotations

import uuid
from typing import ClassVar

from textual.binding import Binding, BindingType

from workbench.client.errors import ClientError
from workbench.client.models import Run
from workbench.text.sanitize import sanitize_label
from workbench.tui.keys import key_label
from workbench.tui.screens.run.source_actions import SourceActions
from workbench.tui.services.interfaces import ControllerApi
from workbench.tui.user_work import user_work


class RunActions(SourceActions):
    """A screen with a current run (`current_run`)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("R", "rerun(False)", "Rerun", show=False, id="run.rerun", tooltip="Run all steps again"),
        Binding("F", "rerun(True)", "Rerun failed", show=False, id="run.rerun-failed",
                tooltip="Run failed steps again; steps that succeeded are reused"),
        Binding("M", "resume", "Resume", show=False, id="run.resume",
                tooltip="Run this folder's current pipeline; unchanged steps that succeeded are reused"),
        Binding("D,delete", "delete_run", "Delete", show=False, id="run.delete", tooltip="Delete the run (asks first)"),
        Binding("equals_sign", "compare", "Compare", show=False, id="run.compare",
                tooltip="Compare with the previous run"),
        Binding("L", "approve", "Approve", show=False, id="run.approve",
                tooltip="Let the run of a pull request from a fork start (asks first)"),
        Binding("T", "tests", "Tests", show=False, id="run.tests",
                tooltip="Show the results of the tests of the run, those that failed first"),
        Binding("less_than_sign", "replay", "Back in time", show=False, id="run.replay",
                tooltip="Go back in time: play a run that has ended; then go back by a fiftieth of it"),
        Binding("d", "details", "Details", id="run.details",
                tooltip="Show reasons, attempts, environment, artifacts, events, YAML"),
    ]  # fmt: skip
    WRITING_ACTIONS: ClassVar[tuple[str, ...]] = ("rerun", "resume", "delete_run", "approve")

    def _selected_run(self) -> Run | None:
        return self.workbench.feed.runs.get(self.current_run or "")

    def run_deleted(self) -> None:
        """Called when this screen has deleted its current run."""

    def action_details(self) -> None:
        from workbench.tui.screens.details import DetailsScreen

        run = self._selected_run()
        if run is not None:
            self.app.push_screen(DetailsScreen(run.name, self.current_step))

    def action_tests(self) -> None:
        from workbench.tui.screens.run.test_results import TestsScreen

        run = self._selected_run()
        if run is not None:
            self.app.push_screen(TestsScreen(run.name, self.current_step))

    def action_replay(self) -> None:
        from workbench.bundle.playback import Playback

        run = self._selected_run()
        playback = Playback.of(run, self.workbench.as_of) if run is not None else None
        if playback is not None:
            self.workbench.open_replay(playback, self.current_step)
        elif run is not None:
            why = "has not ended yet" if not run.ended else "has no times"
            self.notify(f"{sanitize_label(run.name, 60)} {why}: it can't be played.", markup=False)

    def action_compare(self) -> None:
        from workbench.tui.screens.compare import CompareScreen

        run = self._selected_run()
        if run is None:
            return
        other = self._previous_run(run)
        if other is None or other.name == run.name:
            self.notify(f"There is no earlier run of {sanitize_label(run.pipeline, 60)} to compare with.", markup=False)
        else:
            self.app.push_screen(CompareScreen(other.name, run.name))

    def _previous_run(self, run: Run) -> Run | None:
        """The run that this one reran, or else the previous run of the same pipeline."""
        runs = self.workbench.feed.runs
        if run.rerun_of is not None and (origin := runs.get(run.rerun_of)) is not None:
            return origin
        earlier = (one for one in runs.newest if one.creation_order < run.creation_order)
        return next((one for one in earlier if one.pipeline == run.pipeline), None)

    def action_rerun(self, from_failed: bool) -> None:
        run = self._selected_run()
        if run is None:
            return
        if not run.ended:
            self.notify(
                f"{sanitize_label(run.name, 60)} has not ended yet; "
                f"{key_label(self.app, 'app.cancel', 'ctrl+x')} cancels it.",
                markup=False,
            )
        elif from_failed and run.phase == "Succeeded":
            again = key_label(self.app, "run.rerun", "R")
            self.notify(
                f"Nothing failed in {sanitize_label(run.name, 60)}; {again} runs all steps again.", markup=False
            )
        else:
            self._rerun(run.name, from_failed)

    def action_resume(self) -> None:
        """Run the current pipeline, reusing unchanged steps of this run that succeeded."""
        run, launcher = self._selected_run(), self.workbench.launcher
        if run is None:
            return
        if launcher is None:
            edit = key_label(self.app, "app.edit", "e")
            message = f"There is no .c8s.yaml in this folder to resume with; {edit} creates one."
            self.notify(message, severity="warning", markup=False)
        elif not run.ended:
            self.notify(
                f"{sanitize_label(run.name, 60)} has not ended yet; "
                f"{key_label(self.app, 'app.cancel', 'ctrl+x')} cancels it.",
                markup=False,
            )
        else:
            self.workbench.launch_with(launcher, run.name)

    @user_work("run again")
    async def _rerun(self, name: str, from_failed: bool) -> None:
        controller = self.workbench.feed.controller
        if controller is None or self.workbench.feed.connection_error is not None:
            self.notify("There is no connection to the controller.", severity="warning")
            return
        asked_in = self.app.focused
        with self.workbench.start_once(f"Another run of {sanitize_label(name, 60)}") as is_first:
            again = await self._start_again(controller, name, from_failed) if is_first else None
        if again is not None:
            self.workbench.open_started(again.name, asked_in)

    async def _start_again(self, controller: ControllerApi, name: str, from_failed: bool) -> Run | None:
        """Ask about missing secrets, and run it again; None if the user does not want that or it failed."""
        try:
            with self.workbench.hold_keys():
                run = await controller.run(name)
            if not await self._confirm_secrets(controller, run, from_failed):
                return None
            held = self.workbench.take_holds({"name": run.pipeline, **(run.definition or {})})
            key = str(uuid.uuid4())
            again = await controller.rerun(name, idempotency_key=key, from_failed=from_failed, breakpoints=held)
        except ClientError as error:
            self.notify(
                sanitize_label(str(error), 400), title="Not started", severity="error", markup=False, timeout=15
            )
            return None
        self.workbench.next_holds.started(run.pipeline)
        return again

    async def _confirm_secrets(self, controller: ControllerApi, run: Run, from_failed: bool) -> bool:
        """Whether to run it again: the user decides if it would fail for missing secrets. Raises ClientError."""
        from workbench.tui.screens.secrets.question import accepted, ask_about_secrets

        with self.workbench.hold_keys():
            options = self.workbench.command_options
            reused = {step.name for step in run.steps if from_failed and step.phase == "Succeeded"}
            definition = run.definition or {}
            answer = await ask_about_secrets(self.app, controller, definition, run=run, reused=reused, options=options)
        return await accepted(self.app, {"name": run.pipeline, **definition}, answer)

    def action_approve(self) -> None:
        run = self._selected_run()
        if run is None:
            return
        if run.reason != "ApprovalRequired":
            self.notify(f"{sanitize_label(run.name, 60)} does not wait for an approval.", markup=False)
        else:
            self._approve(run)

    @user_work("approve a run")
    async def _approve(self, run: Run) -> None:
        from workbench.tui.screens.dialogs import ConfirmDialog

        controller, commit = self.workbench.feed.controller, run.commit or ""
        detail = (
            f"It runs what strangers wrote, at the commit {sanitize_label(commit, 64)}. Look at its changes first. It "
            "gets no secrets, and saves no caches."
        )
        if controller is None or not await self.app.push_screen_wait(
            ConfirmDialog(f"Let {run.name} start?", detail, "Let it start")
        ):
            return
        try:
            await controller.approve(run.name, commit or None)
        except ClientError as error:
            message = sanitize_label(str(error), 400)
            self.notify(message, title="Not approved", severity="error", markup=False, timeout=15)
            return
        self.notify(f"{sanitize_label(run.name, 60)} is approved.", markup=False)

    def action_delete_run(self) -> None:
        run = self._selected_run()
        if run is not None:
            self._delete(run)

    @user_work("delete a run")
    async def _delete(self, run: Run) -> None:
        from workbench.tui.screens.dialogs import ConfirmDialog

        running = "" if run.ended else "Its running steps are stopped. "
        detail = f"{running}Its logs and artifacts are kept until they expire."
        controller = self.workbench.feed.controller
        if controller is None or not await self.app.push_screen_wait(
            ConfirmDialog(f"Delete {run.name}?", detail, "Delete the run")
        ):
            return
        try:
            await controller.delete(run.name)
        except ClientError as error:
            self.notify(
                sanitize_label(str(error), 400), title="Not deleted", severity="error", markup=False, timeout=15
            )
            return
        self.notify(f"{sanitize_label(run.name, 60)} is deleted.", markup=False)
        self.run_deleted()
