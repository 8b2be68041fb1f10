"""Holding the steps of a run at breakpoints, and letting held ones go on."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from workbench.client.errors import ClientError
from workbench.client.models import Run, Step
from workbench.runs.holds import WORDS, holds_now, holds_of, with_breakpoint
from workbench.text.sanitize import sanitize_label
from workbench.tui.boundary import is_going
from workbench.tui.keys import key_label
from workbench.tui.screens.run.actions import RunActions
from workbench.tui.user_work import user_work

_CHOICES = {
    "before": "Before its commands",
    "failed": "After its commands, if they fail",
    "after": "After its commands, if they succeed",
}
_NOT = "not"
_DONE = {"go": "goes on", "retry": "runs its commands again", "accept": "counts as succeeded"}


class HoldActions(RunActions):
    """A screen with a current step (`current_step`)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "hold", "Hold", show=False, id="run.hold",
                tooltip="Hold the step in its container, in this run if it has not started, else in the next run"),
        Binding("u", "continue_step('go')", "Continue", show=False, id="run.continue",
                tooltip="Let a held step begin, or end as its commands did"),
        Binding("X", "continue_step('retry')", "Retry", show=False, id="run.retry",
                tooltip="Run the commands of a held step again, in the same container"),
        Binding("V", "continue_step('accept')", "Accept", show=False, id="run.accept",
                tooltip="Count a held step as succeeded"),
    ]  # fmt: skip
    WRITING_ACTIONS: ClassVar[tuple[str, ...]] = ("hold", "continue_step")

    def _selected_step(self) -> Step | None:
        run, name = self._selected_run(), self.current_step
        return run.step(name) if run is not None and name is not None else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "continue_step":
            step = self._selected_step()
            held = step.held if step is not None else None
            allowed = super().check_action(action, parameters)
            return allowed and held is not None and (held != "before" or parameters == ("go",))
        return super().check_action(action, parameters)

    def held_keys(self, step: Step) -> str:
        """What one can do about a held step, with the keys."""
        ways = [("run.shell", "S", "shell")] if self.workbench.shell is not None else []
        ways.append(("run.continue", "u", "continue"))
        if step.held != "before":
            ways += [("run.retry", "X", "retry"), ("run.accept", "V", "accept")]
        return "  ".join(f"{key_label(self.app, name, default)} {text}" for name, default, text in ways)

    def action_hold(self) -> None:
        run, step = self._selected_run(), self._selected_step()
        if run is None or step is None:
            self.notify("No step is selected to be held.")
        elif run.copy_of is not None:
            self.notify("This run is a copy of a failed step, whose commands do not run.")
        else:
            self._hold(run, step)

    @user_work("hold a step")
    async def _hold(self, run: Run, step: Step) -> None:
        from workbench.tui.screens.dialogs import ChoiceDialog

        name, here = sanitize_label(step.name, 40), holds_now(run, step)
        set_here = holds_of(step, run.breakpoints) if here else []
        is_set = bool(set_here) if here else step.name in self.workbench.next_holds.of(run.pipeline)
        where = "this run" if here else f"the next run of {sanitize_label(run.pipeline, 40)}"
        detail = f"In {where}, the step waits in its container, where you can open a shell until you let it go on."
        choices = _CHOICES | ({_NOT: "Don't hold it"} if is_set else {})
        answer = await self.app.push_screen_wait(ChoiceDialog(f"Hold {name}?", detail, choices))
        if answer is None:
            return
        at = None if answer == _NOT else answer
        if here and not await self._set_breakpoint(run, step, at):
            return
        if not here:
            self.workbench.next_holds.set(run.pipeline, step.name, at)
        when = f"is held {WORDS[at]}" if at is not None else "is not held"
        self.notify(f"{name} {when} in {where}.", markup=False)
        if not is_going(self):
            self.runs_changed()

    async def _set_breakpoint(self, run: Run, step: Step, at: str | None) -> bool:
        """Change the breakpoints of a run that goes on; False if that was not possible."""
        controller = self.workbench.feed.controller
        if controller is None or self.workbench.feed.connection_error is not None:
            self.notify("There is no connection to the controller.", severity="warning")
            return False
        try:
            latest = await controller.run(run.name)
            changed = with_breakpoint(latest.breakpoints, step.name, at)
            await controller.set_breakpoints(run.name, changed)
        except ClientError as error:
            self._notify_error("Not held", error)
            return False
        return True

    @user_work("let a held step go on")
    async def action_continue_step(self, action: str) -> None:
        run, step, controller = self._selected_run(), self._selected_step(), self.workbench.feed.controller
        if run is None or step is None or controller is None:
            return
        try:
            await controller.continue_step(run.name, step.slug, action)
        except ClientError as error:
            self._notify_error("Not continued", error)
            return
        self.notify(f"{sanitize_label(step.name, 60)} {_DONE[action]}.", markup=False)

    def _notify_error(self, title: str, error: ClientError) -> None:
        self.notify(sanitize_label(str(error), 400), title=title, severity="error", markup=False, timeout=15)
