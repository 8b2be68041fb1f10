"""The diagnostics of the text in the editor, one row each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual.strip import Strip

from controller.pipeline.diagnostics import Diagnostic
from workbench.text.sanitize import sanitize_label
from workbench.tui.theme import Palette
from workbench.tui.widgets.list_view import ListView

_SIGNS = {"error": "✗", "warning": "!", "hint": "·"}


class ProblemList(ListView):
    """Enter moves the cursor to the problem."""

    HELP_TITLE = "Problems"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._problems: dict[str, Diagnostic] = {}

    def show_problems(self, problems: Sequence[Diagnostic]) -> None:
        self._problems = {f"{at}": problem for at, problem in enumerate(problems)}
        self.show_keys(list(self._problems))

    def problem(self, key: str) -> Diagnostic | None:
        return self._problems.get(key)

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        problem = self._problems[key]
        style = {"error": colours.error, "warning": colours.warning}.get(problem.severity, colours.running)
        place = f"{problem.line}:{problem.column}"
        hint = f"  {sanitize_label(problem.hint, 200)}" if problem.hint else ""
        return Strip(
            [
                Segment(f" {_SIGNS.get(problem.severity, '·')} ", style),
                Segment(f"{place:>7} ", colours.faint),
                Segment(f" {sanitize_label(problem.message, 300)}", colours.plain),
                Segment(hint, colours.muted),
            ]
        )
