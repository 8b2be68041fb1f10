"""The actions of a failed step: its card, and the source of its failure in the user's editor."""

from __future__ import annotations

import asyncio
from functools import partial

from textual import on, work

from workbench.client.errors import ClientError
from workbench.client.models import Run, Step
from workbench.report.failure_card import failure_of, last_success
from workbench.text.sanitize import sanitize_label
from workbench.tui.keys import key_label
from workbench.tui.screens.run.holds import HoldActions
from workbench.tui.services.failure_cards import FailedStep, gather_card, source_of
from workbench.tui.widgets.failure_panel import CardKeys
from workbench.tui.widgets.log.column import LogColumn
from workbench.tui.widgets.log.streams import select_stream

_MAX_NAMES = 8
"""Names of each kind of difference that are shown."""


class FailureActions(HoldActions):
    """A screen with a `LogColumn`."""

    def _failed_step(self) -> tuple[Run, Step] | None:
        """The selected step, if it has failed, with its run."""
        run, step = self._selected_run(), self._selected_step()
        return (run, step) if run is not None and step is not None and step.phase == "Failed" else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "open_source":
            return self._failed_step() is not None
        if action == "card":
            return self._selected_step() is not None
        return super().check_action(action, parameters)

    @on(LogColumn.CardShown)
    def _show_card(self) -> None:
        """Show the card of the selected step, if it has failed."""
        column, failed = self.query_one(LogColumn), self._failed_step()
        if column.set_failed(failed[1].name if failed is not None else None):
            self.refresh_bindings()
        if failed is None or not column.card_shown:
            return
        run, step = failed
        green = last_success(self.workbench.feed.runs.newest, run, step)
        green_step = green.step(step.name) if green is not None else None
        failed_step = FailedStep(run, step, select_stream(step), green, select_stream(green_step))
        controller = self.workbench.feed.controller
        gather = partial(gather_card, controller, failed_step, self._source_root()) if controller is not None else None
        column.panel.show_failed(run, step, green, self._card_keys(run, step), gather)

    def _card_keys(self, run: Run, step: Step) -> CardKeys:
        has_shell = self.workbench.shell is not None and step.attempt_with_workspace is not None
        writes = not self.workbench.read_only
        return CardKeys(
            close=key_label(self.app, "run.card", "I"),
            tests=key_label(self.app, "run.tests", "T"),
            open_source=key_label(self.app, "run.open-source", "o") if writes else None,
            shell=key_label(self.app, "run.shell", "S") if has_shell else None,
            resume=key_label(self.app, "run.resume", "M") if run.ended and writes and self.workbench.launcher else None,
            rerun_failed=key_label(self.app, "run.rerun-failed", "F") if run.ended and writes else None,
            rerun=key_label(self.app, "run.rerun", "R") if run.ended and writes else None,
            hold=key_label(self.app, "run.hold", "b") if run.copy_of is None and writes else None,
        )

    def action_card(self) -> None:
        run, step = self._selected_run(), self._selected_step()
        if self._failed_step() is None and run is not None and step is not None:
            self._explain_step(run, step)
            return
        self.query_one(LogColumn).toggle_card()
        self._show_card()

    @work(group="explain step", exclusive=True, description="explain why a step was reused or ran again")
    async def _explain_step(self, run: Run, step: Step) -> None:
        controller = self.workbench.feed.controller
        if controller is None:
            return
        try:
            found = await controller.explain_step(run.name, step.slug)
        except ClientError as error:
            self.notify(sanitize_label(str(error), 400), severity="warning", markup=False)
            return
        title = f"Why: {sanitize_label(step.name, 60)}"
        self.notify("\n".join(found.lines(_MAX_NAMES)), title=title, markup=False, timeout=20)

    @work(group="open source", exclusive=True, description="open the source of a failure")
    async def action_open_source(self) -> None:
        """Open the file and line that the failure names."""
        failed = self._failed_step()
        if failed is None:
            return
        source = await asyncio.to_thread(source_of, *failed, self._source_root())
        if source is None:
            self.notify(_no_source_reason(failed[1]), severity="warning", markup=False)
        else:
            self._edit(source)


def _no_source_reason(step: Step) -> str:
    failure = failure_of(step)
    if failure is None or failure.file is None:
        return f"The failure of {sanitize_label(step.name, 60)} names no source file."
    return f"{sanitize_label(failure.file, 200)} is not a file of this folder."
