"""The keys at the bottom of a screen, in one line that draws itself.

Textual's footer is made of one widget per key and makes them anew whenever the focus changes, which took a third of the
time of such a change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import ActiveBinding
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from workbench.runs.footer import choose_actions
from workbench.text.width import cell_width
from workbench.tui.boundary import PaneBoundary, is_going
from workbench.tui.widgets.list_view import ListView

_NARROW_COLUMNS = 100
"""Columns below which there is less room between the keys."""
_MIN_PALETTE_COLUMNS = 80
"""Columns from which the key of the command palette is shown at the right."""


@dataclass(frozen=True)
class FooterKey:
    """A key of the footer. `key` is its name, `label` how it is written."""

    key: str
    label: str
    description: str
    name: str
    """The name of its action, as in the config."""
    enabled: bool
    tooltip: str

    @classmethod
    def of(cls, active: ActiveBinding, label: str) -> FooterKey:
        binding = active.binding
        node = active.node
        description = node.OPENS if binding.id == "rows.open" and isinstance(node, ListView) else binding.description
        return cls(
            binding.key, label, description, binding.id or "", active.enabled, active.tooltip or binding.description
        )

    @property
    def width(self) -> int:
        return cell_width(self.label) + 1 + cell_width(self.description)


class KeyFooter(PaneBoundary, Widget):
    """Shows the keys of the screen and of the widget with the focus, as far as there is room.

    Where the state of a run decides which keys matter, `show_actions` names them.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"footer--key", "footer--description", "footer--hover", "footer--edge"}
    DEFAULT_CSS = """
    KeyFooter {
        dock: bottom;
        height: 1;
        background: $surface;
        & .footer--key {
            color: $footer-key-foreground;
            text-style: bold;
        }
        & .footer--description {
            color: $footer-description-foreground;
        }
        & .footer--hover {
            background: $block-hover-background;
        }
        & .footer--edge {
            color: $foreground 20%;
        }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._wanted: tuple[str, ...] | None = None
        self._wanted_first = True
        self._offered: tuple[FooterKey, ...] = ()
        self._palette: FooterKey | None = None
        self._hovered: FooterKey | None = None
        self._state: object = None

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def show_actions(self, wanted: tuple[str, ...], *, first: bool = True) -> None:
        """Show the keys of these actions, also of those that a footer does not show otherwise.

        Args:
            first: whether they come before the others.
        """
        if (wanted, first) != (self._wanted, self._wanted_first):
            self._wanted, self._wanted_first = wanted, first
            self._offer_keys()

    def _bindings_changed(self, screen: Screen[object]) -> None:
        # In another window everything keeps its look.
        if screen.app.app_focus:
            self.call_after_refresh(self._offer_keys)

    def _offer_keys(self) -> None:
        """Take over the bindings of the moment."""
        if not self.is_attached or is_going(self):
            return
        bindings = self.screen.active_bindings
        by_action: dict[str, FooterKey] = {}
        for active in bindings.values():
            if active.binding.show or active.binding.id in (self._wanted or ()):
                key = self._key_of(active)
                if not self._is_typed(key):
                    by_action.setdefault(active.binding.action, key)
        found = bindings.get(self.app.COMMAND_PALETTE_BINDING)
        palette = self._key_of(found) if found is not None else None
        state = (self._wanted, tuple(by_action.values()), palette)
        if state != self._state:
            self._state, self._offered, self._palette = state, state[1], palette
            self.refresh()

    def _is_typed(self, key: FooterKey) -> bool:
        """Whether the widget with the focus takes the key as text. Textual does not know it of `/` and its like."""
        focused = self.screen.focused
        is_text = len(key.label) == 1 and key.label.isascii()
        return is_text and focused is not None and focused.check_consume_key(key.key, key.label)

    def _key_of(self, active: ActiveBinding) -> FooterKey:
        return FooterKey.of(active, self.app.get_key_display(active.binding))

    @property
    def _is_narrow(self) -> bool:
        return self.size.width < _NARROW_COLUMNS

    def _places(self) -> list[tuple[FooterKey, int, int]]:
        """The keys that are shown, each with its first and its end column."""
        width, gap = self.size.width, 1 if self._is_narrow else 2
        palette = self._palette if width >= _MIN_PALETTE_COLUMNS else None
        right = width - palette.width - gap if palette is not None else width
        widths = [each.width + gap for each in self._offered]
        room = right - 1 if palette is not None else right
        names = [each.name for each in self._offered]
        chosen = choose_actions(self._wanted, names, widths, room, first=self._wanted_first)
        places, at = [], 0
        for number in chosen:
            places.append((self._offered[number], at, at + widths[number]))
            at += widths[number]
        if palette is not None:
            places.append((palette, right, width))
        return places

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        edge, before = Segment("▏", self.get_component_rich_style("footer--edge", partial=True)), ""
        if not self._is_narrow:
            before = " "
        segments: list[Segment] = []
        used = 0
        for key, start, end in self._places():
            blank = start - used - (1 if key is self._palette else 0)
            segments.append(Segment(" " * blank))
            if key is self._palette:
                segments.append(edge)
            segments += self._draw(key, before)
            used = end
        strip = Strip(segments).adjust_cell_length(self.size.width)
        return strip.apply_style(base)

    def _draw(self, key: FooterKey, before: str) -> list[Segment]:
        label = self.get_component_rich_style("footer--key", partial=True)
        description = self.get_component_rich_style("footer--description", partial=True)
        if key == self._hovered:
            over = self.get_component_rich_style("footer--hover", partial=True)
            label, description = label + over, description + over
        return [Segment(f"{before}{key.label} ", label), Segment(f"{key.description} ", description)]

    def _key_at(self, x: int) -> FooterKey | None:
        return next((key for key, start, end in self._places() if start <= x < end), None)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        key = self._key_at(event.x)
        if key is not None and key.enabled:
            self.app.simulate_key(key.key)
        elif key is not None:
            self.app.bell()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._hover(self._key_at(event.x))

    def on_leave(self) -> None:
        self._hover(None)

    def _hover(self, key: FooterKey | None) -> None:
        if key != self._hovered:
            self._hovered = key
            self.tooltip = key.tooltip if key is not None else None
            self.refresh()
