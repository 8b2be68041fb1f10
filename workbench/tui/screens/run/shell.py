"""A shell in a step, in place of the workbench."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from workbench.client.models import Step
from workbench.text.sanitize import sanitize_label
from workbench.tui.screens.run.failure import FailureActions
from workbench.tui.terminal.external_programs import run_external
from workbench.tui.terminal.served import NO_PROGRAM, is_served
from workbench.tui.widgets.log.grid import LogGrid


class ShellActions(FailureActions):
    """A screen with a current step and a `LogGrid`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("S", "shell", "Shell", show=False, id="run.shell",
                tooltip="Open a shell in a running step, or in the saved workspace of a failed one"),
    ]  # fmt: skip
    WRITING_ACTIONS: ClassVar[tuple[str, ...]] = ("shell",)

    def action_shell(self) -> None:
        """Run a shell in the step, in the container whose log is shown.

        For a failed step, `c8s shell` starts a copy of the step and removes it afterwards.
        """
        run, step = self._selected_run(), self._selected_step()
        if (
            run is None
            or step is None
            or (step.state not in ("Running", "Held") and step.attempt_with_workspace is None)
        ):
            self.notify(_unavailable_reason(step), markup=False)
        elif is_served():
            command = f"c8s shell{self.workbench.command_options} {run.name} {step.slug}"
            self.notify(f"{NO_PROGRAM} There: {sanitize_label(command, 200)}", severity="warning", markup=False)
        elif self.workbench.shell is None:
            self.notify("A shell can't be opened from here; use `c8s shell`.", severity="warning")
        else:
            key = self.query_one(LogGrid).active.key
            is_service = key is not None and key.step == step.slug and key.container.startswith("svc-")
            container = key.container if key is not None and is_service else "step"
            run_external(self.app, self.workbench.shell(run.name, step.slug, container))


def _unavailable_reason(step: Step | None) -> str:
    """Why no shell can be opened, and what to do."""
    if step is None:
        return "No step is selected; a shell needs a running step."
    name = sanitize_label(step.name, 60)
    saved = step.last_attempt.saved_workspace if step.last_attempt is not None else None
    if saved is not None and saved.problem is not None:
        return f"The workspace of {name} could not be saved: {sanitize_label(saved.problem, 200)}"
    if step.phase == "Failed":
        return f"{name} has failed, and its workspace was not saved; set `keepOnFailure: true` to save it."
    return f"{name} is {step.phase.lower()}; a shell needs a running step."
