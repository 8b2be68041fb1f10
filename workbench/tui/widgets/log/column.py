"""The logs of a run with the card of a failed step above them, or in their place where there is no room for both."""

from __future__ import annotations

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from workbench.tui.boundary import ErrorBoundary
from workbench.tui.widgets.failure_panel import MIN_ROWS, FailurePanel
from workbench.tui.widgets.log.grid import LogGrid

_MIN_ROWS_FOR_BOTH = 16
"""Rows from which the card and a log are shown together."""


class LogColumn(ErrorBoundary, Vertical):
    """A card that fits is shown unless the user has closed it; one that does not fit, when the user opens it."""

    class CardShown(Message):
        """The card has become visible."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._failed: str | None = None
        self._dismissed = False
        self._summoned = False
        self._log_alone = False

    def compose(self) -> ComposeResult:
        panel = FailurePanel(id="failure-card")
        panel.display = False
        yield panel
        yield LogGrid(id="logs")

    @property
    def panel(self) -> FailurePanel:
        return self.query_one(FailurePanel)

    @property
    def card_shown(self) -> bool:
        if self._failed is None or self._log_alone or self.size.height < MIN_ROWS:
            return False
        return not self._dismissed if self._fits_both else self._summoned

    @property
    def _fits_both(self) -> bool:
        return self.size.height >= _MIN_ROWS_FOR_BOTH and len(self.query_one(LogGrid).panes) <= 1

    def set_failed(self, name: str | None) -> bool:
        """Set the failed step that is selected, or None if the selected step has not failed; whether it is another."""
        changed = name != self._failed
        if changed:
            self._failed, self._summoned = name, False
        self._fit_contents()
        return changed

    def restore(self, layout: Mapping[str, object]) -> None:
        """Apply a saved layout."""
        self._dismissed = layout.get("card") is False

    def layout_state(self) -> dict[str, bool]:
        return {"card": False} if self._dismissed else {}

    def toggle_card(self) -> None:
        """Show the card, or close it."""
        if self._fits_both:
            self._dismissed = not self._dismissed
        else:
            self._summoned = not self._summoned
        self._fit_contents()

    def maximise(self, alone: bool) -> None:
        """Show the active log alone, or everything again."""
        self._log_alone = alone
        self.query_one(LogGrid).maximise(alone)
        self._fit_contents()

    def reveal_log(self) -> bool:
        """Close a card that is shown in place of the log; False if there is none."""
        if not self.has_class("-card-only"):
            return False
        self._summoned = False
        self._fit_contents()
        return True

    def on_resize(self) -> None:
        self._fit_contents()

    def _fit_contents(self) -> None:
        """Show or hide the card, and the log beside it."""
        shown, both = self.card_shown, self._fits_both
        self.panel.fit(self.size.height // 2 if both else self.size.height)
        if shown and not self.panel.display:
            self.post_message(self.CardShown())
        self.panel.display = shown
        grid = self.query_one(LogGrid)
        had_focus = not shown and not grid.display
        self.set_class(shown and not both, "-card-only")
        grid.display = not (shown and not both)
        if had_focus and self.screen.focused is None:
            grid.active.view.focus()
