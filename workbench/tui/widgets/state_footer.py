"""A footer whose keys fit the state of the selected run."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import ActiveBinding
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

from workbench.runs.footer import choose_actions
from workbench.text.width import cell_width
from workbench.tui.boundary import ErrorBoundary

_PALETTE_WIDTH = 13
_PADDING = 3
"""Cells around the key and the description; one less in the compact form."""


class StateFooter(ErrorBoundary, Footer):
    """Shows what the state of a run asks for, then the other keys of the screen, as far as there is room."""

    def __init__(self) -> None:
        super().__init__()
        self._wanted: tuple[str, ...] = ()
        self._composed_width = 0

    def show_actions(self, wanted: tuple[str, ...]) -> None:
        """Show the keys of these actions first, also of those that a footer does not show otherwise."""
        if wanted != self._wanted:
            self._wanted = wanted
            self.refresh(recompose=True)

    def on_resize(self) -> None:
        if self.app.size.width != self._composed_width:
            self.refresh(recompose=True)

    def compose(self) -> ComposeResult:
        if not self._bindings_ready:
            return
        self._composed_width = self.app.size.width
        by_action: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show or active.binding.id in self._wanted:
                by_action.setdefault(active.binding.action, active)
        offered = list(by_action.values())
        keys = [self.app.get_key_display(each.binding) for each in offered]
        padding = _PADDING - (1 if self.compact else 0)
        widths = [cell_width(key) + cell_width(each.binding.description) + padding
                  for key, each in zip(keys, offered, strict=True)]  # fmt: skip
        room = self._composed_width - (_PALETTE_WIDTH if self.show_command_palette else 0)
        chosen = choose_actions(self._wanted, [each.binding.id or "" for each in offered], widths, room)
        self.styles.grid_size_columns = len(chosen)
        for at in chosen:
            active = offered[at]
            yield FooterKey(
                active.binding.key, keys[at], active.binding.description, active.binding.action,
                disabled=not active.enabled, tooltip=active.tooltip,
            ).data_bind(compact=Footer.compact)  # fmt: skip
        palette = self.screen.active_bindings.get(self.app.COMMAND_PALETTE_BINDING)
        if self.show_command_palette and palette is not None:
            binding = palette.binding
            yield FooterKey(
                binding.key, self.app.get_key_display(binding), binding.description, binding.action,
                classes="-command-palette", disabled=not palette.enabled, tooltip=binding.tooltip,
            )  # fmt: skip
