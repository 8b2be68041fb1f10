"""Error boundaries: a failure in one part of a screen is reported there, and the rest of the app goes on.

A node that is being removed still gets callbacks, answers of workers and messages, while its children are
already gone. Its own callbacks are therefore not called any more, and errors of what still runs are dropped.
Textual has no public hook around the dispatch of a message, hence the overridden private method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual._context import active_message_pump
from textual.app import App
from textual.dom import DOMNode
from textual.geometry import Region
from textual.message import Message
from textual.message_pump import MessagePump
from textual.strip import Strip
from textual.timer import Timer

from workbench.text.sanitize import sanitize_label
from workbench.tui.options import DEFAULT_OPTIONS, is_writing

if TYPE_CHECKING:
    from textual.widget import Widget

    _Node = DOMNode
    _Widget = Widget
else:
    # Not nodes at run time: Textual takes the default CSS only from the first base that is one.
    _Node = object
    _Widget = object

_FATAL_EVENTS = (events.Load, events.Compose, events.Mount, events.Ready)
"""Events of the app without which there is nothing to go on with."""


@runtime_checkable
class FailureReporter(Protocol):
    """An app that reports the failures of its nodes."""

    def report_failure(self, node: DOMNode, error: Exception) -> None: ...


@runtime_checkable
class FailurePane(Protocol):
    """A widget that can show a failure of itself or its children."""

    def show_failure(self, text: str) -> bool:
        """Show it; False if the widget is not visible."""
        ...


def is_going(node: MessagePump) -> bool:
    """Whether a node is being removed, alone or with an ancestor, or the app is about to exit."""
    each: MessagePump | None = node
    while each is not None and not isinstance(each, App):
        if each._closing or each._closed or getattr(each, "_pruning", False):
            return True
        each = each._parent
    # A node without an app above it is detached already.
    return each is None or each._exit or each._closing or each._closed or not each._running


def current_node() -> MessagePump | None:
    """The node whose message or callback is being handled."""
    return active_message_pump.get(None)


def contain(node: MessagePump, error: Exception) -> None:
    """Report an error of a node to the app; that of a node that is being removed is dropped."""
    if is_going(node):
        return
    app = node.app
    if not isinstance(app, FailureReporter) or not isinstance(node, DOMNode):
        raise error
    app.report_failure(node, error)


@contextmanager
def contained(node: MessagePump) -> Iterator[None]:
    """Report an error within the block as one of `node`, and go on after it."""
    try:
        yield
    except Exception as error:  # The boundary: reported, with a stack trace in the crash report.
        contain(node, error)


class ErrorBoundary(_Node):
    """A mixin for nodes; it comes before the other bases."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether to offer an action: one that changes something is not offered where that is refused."""
        options = getattr(self.app, "options", DEFAULT_OPTIONS)
        if options.read_only and is_writing(self, action):
            return False
        return super().check_action(action, parameters)

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            if isinstance(self, App) and isinstance(message, _FATAL_EVENTS):
                raise
            contain(self, error)

    def call_next(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        super().call_next(partial(self._call, callback, *args, **kwargs))

    def call_later(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
        return super().call_later(partial(self._call, callback, *args, **kwargs))

    def call_after_refresh(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
        return super().call_after_refresh(partial(self._call, callback, *args, **kwargs))

    def set_timer(
        self,
        delay: float,
        callback: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        pause: bool = False,
    ) -> Timer:
        timer = super().set_timer(delay, callback, name=name, pause=pause)
        # Textual's timers leave out calls that come too late: on a busy machine also the only one, when the process is
        # stopped for longer than the delay just while the timer reads the clock.
        timer._skip = False
        return timer

    def set_interval(
        self,
        interval: float,
        callback: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        repeat: int = 0,
        pause: bool = False,
    ) -> Timer:
        call = partial(self._call, callback) if callback is not None else None
        return super().set_interval(interval, call, name=name, repeat=repeat, pause=pause)

    async def _call(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if _is_own(callback) and is_going(self):
            return
        try:
            result = callback(*args, **kwargs)
            if isawaitable(result):
                await result
        except Exception as error:
            contain(self, error)


class PaneBoundary(ErrorBoundary, _Widget):
    """A mixin for widgets that draw lines: they show their failures in place of lines."""

    _failure: str | None = None
    _undrawable = False
    """Whether the failure is one of drawing, which is over as soon as the pane can be drawn again."""

    def show_failure(self, text: str) -> bool:
        if self._failure != text:
            self._failure = text
            self.refresh()
        return bool(self.display) and bool(self.size)

    def clear_failure(self) -> None:
        """Remove the failure that is shown."""
        if self._failure is not None:
            self._failure = None
            self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        try:
            strips = super().render_lines(crop)
        except Exception as error:
            self._undrawable = True
            contain(self, error)
            blank = Strip.blank(crop.width, self.rich_style)
            return [
                self._failure_strip(crop, text) if text else blank
                for text in self._failure_rows(crop.y, crop.bottom, self.size.width)
            ]
        if self._undrawable:
            self._undrawable, self._failure = False, None
        if self._failure is not None and crop.y <= self.size.height - 1 < crop.bottom:
            strips[self.size.height - 1 - crop.y] = self._failure_strip(crop, self._failure)
        return strips

    def _failure_rows(self, first: int, last: int, width: int) -> Iterator[str]:
        """The text of these rows of a pane that can't be drawn."""
        room = max(width - 3, 1)
        text = self._failure or ""
        rows = [text[at : at + room] for at in range(0, len(text), room)]
        for y in range(first, last):
            yield rows[y] if y < len(rows) else ""

    def _failure_strip(self, crop: Region, text: str) -> Strip:
        style = self.rich_style + Style(color="red", bold=True)
        strip = Strip([Segment(f" ✗ {sanitize_label(text, max(self.size.width - 3, 1))}", style)])
        return strip.crop_extend(crop.x, crop.right, style)


def _is_own(callback: Callable[..., Any]) -> bool:
    """Whether a callback is the workbench's. Textual's are always called: it waits for some of them."""
    while isinstance(callback, partial):
        callback = callback.func
    return str(getattr(callback, "__module__", "")).startswith("workbench.")
