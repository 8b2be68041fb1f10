"""The list of tests: sign, name, duration, and the outcomes in the last runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from workbench.client.test_results import TestResult
from workbench.report.test_results import SIGNS, Histories, display_name, history_of, history_signs, is_flaky
from workbench.text.format import format_duration
from workbench.text.sanitize import sanitize_label, truncate_middle
from workbench.tui.theme import Palette
from workbench.tui.widgets.list_view import ListView
from workbench.tui.widgets.segments import cell

_STEP_WIDTH = 18
_SHORT_HISTORY, _LONG_HISTORY = 10, 20
_WIDE = 110


class TestsList(ListView):
    """Tests in the order in which they are given."""

    __test__ = False
    HELP_TITLE: ClassVar[str] = "Tests"
    ROW_ACTIONS: ClassVar[tuple[str, ...]] = ("open", "edit")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "edit", "Edit source", id="tests.open-source",
                tooltip="Open the file and line of the test, or of its failure, in $VISUAL or $EDITOR"),
    ]  # fmt: skip
    WRITING_ACTIONS: ClassVar[tuple[str, ...]] = ("edit",)

    class EditRequested(Message):
        """The user wants to see the source of the test under the cursor."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.tests: dict[str, TestResult] = {}
        self._histories: Histories = {}
        self._has_steps = False
        self._names: Mapping[str, str] = {}

    def show(self, tests: Sequence[TestResult], histories: Histories, names: Mapping[str, str]) -> None:
        """Show these tests; the cursor stays on its test. `names` are those of the steps, by slug."""
        self._names = names
        self.tests = {f"{number}/{test.step}/{test.key}": test for number, test in _numbered(tests)}
        self._histories = histories
        self._has_steps = len({test.step for test in tests}) > 1
        self.show_keys(list(self.tests))

    @property
    def current(self) -> TestResult | None:
        """The test under the cursor."""
        return self.tests.get(self.cursor or "")

    def action_edit(self) -> None:
        self.post_message(self.EditRequested())

    def draw_row(self, key: str, width: int, colours: Palette) -> Strip:
        test = self.tests[key]
        flaky = is_flaky(test, self._histories)
        style = {"passed": colours.success, "skipped": colours.muted}.get(test.outcome, colours.error)
        shown = _LONG_HISTORY if width >= _WIDE else _SHORT_HISTORY
        signs = history_signs(history_of(test, self._histories), shown)
        shown_step = truncate_middle(sanitize_label(self._names.get(test.step, test.step), 200), _STEP_WIDTH - 1)
        step = cell(shown_step, _STEP_WIDTH, colours.muted) if self._has_steps else None
        name = max(width - 4 - (_STEP_WIDTH if step else 0) - 7 - 9 - shown - 1, 10)
        seconds = format_duration(test.seconds) if test.seconds is not None else ""
        text = truncate_middle(sanitize_label(display_name(test), 400), name - 1)
        return Strip(
            [
                Segment(f" {SIGNS.get(test.outcome, '?')}  ", style),
                *((step,) if step is not None else ()),
                cell(text, name, colours.plain if test.failed or flaky else colours.muted),
                cell("flaky" if flaky else "", 7, colours.warning),
                cell(seconds, 8, colours.muted, right=True),
                Segment(" "),
                cell(signs, shown, colours.plain, right=True),
            ]
        )


def _numbered(tests: Sequence[TestResult]) -> list[tuple[int, TestResult]]:
    """Each test with a number that tells it from others of the same name in its step."""
    seen: dict[tuple[str, str], int] = {}
    found = []
    for test in tests:
        number = seen.get((test.step, test.key), 0)
        seen[test.step, test.key] = number + 1
        found.append((number, test))
    return found
