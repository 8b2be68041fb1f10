"""Reads keys and pastes one after the other, so that each finds the focus and the screen that the one before it made.

Textual forwards a key to the focused widget at once; its action runs when the key has passed through the queues of
that widget and its ancestors. Keys that arrive meanwhile would go to a widget that is about to lose the focus: the
letters typed after `/` would run as commands.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from textual import events
from textual.message import Message

from workbench.tui.boundary import is_going

if TYPE_CHECKING:
    from textual.app import App
    from textual.message_pump import MessagePump
    from textual.screen import Screen

    _App = App[Any]
else:
    # Not an app at run time: Textual takes the default CSS only from the first base that is one.
    _App = object

_POLL = 0.1
"""Seconds between checks, while keys wait, whether the node that handles the key before them still exists."""
_MAX_WAIT = 5.0
"""Seconds after which the next key is read even if the one before it has not taken effect."""
_MAX_HOLD = 3.0
"""The same while something is prepared that will read the keys."""


def keys_wait(app: App[Any]) -> bool:
    """Whether a key is being handled or was typed ahead. What is not urgent then comes after it."""
    return isinstance(app, OrderedInput) and app.is_reading_keys


class KeyHandled(Message, bubble=True, verbose=True):
    """Follows a key through the queues of the widgets that may handle it, and so reaches the app after it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class OrderedInput(_App):
    """A mixin for apps; it comes before the other bases."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._typed: deque[events.Key | events.Paste] = deque()
        """What was typed ahead."""
        self._in_flight: int | None = None
        """The number of the key that is being handled."""
        self._handled_by: MessagePump | None = None
        """The node whose queue that key is in: the widget that has got it, then the screen."""
        self._read_at = 0.0
        """When that key was read, on the monotonic clock."""
        self._watching = False
        """Whether a check of the key that is being handled is scheduled."""
        self._number = 0
        self._holds = 0

    @property
    def is_reading_keys(self) -> bool:
        """Whether a key is being handled, or waits for that."""
        return self._in_flight is not None or bool(self._typed)

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, (events.Key, events.Paste)) or event.is_forwarded:
            await super().on_event(event)
            return
        self._typed.append(event)
        await self._read_next()
        self._watch_key()

    @contextmanager
    def hold_keys(self, seconds: float = _MAX_HOLD) -> Iterator[None]:
        """Read no keys within the block, which opens or fills the screen that they are for; so long at most."""
        self._holds += 1
        ended = False

        def end() -> None:
            # Once: after the limit, what still holds keys may be for something else.
            nonlocal ended
            if not ended:
                ended = True
                self._end_hold()

        limit = self.set_timer(seconds, end)
        try:
            yield
        finally:
            limit.stop()
            end()

    def _end_hold(self) -> None:
        self._holds -= 1
        if self._in_flight is None:
            self.call_later(self._await_screen, self._next_number())

    async def _read_next(self) -> None:
        while self._typed and self._in_flight is None and not self._holds and not is_going(self):
            event, number = self._typed.popleft(), self._next_number()
            target = self._handled_by = self.focused or self.screen
            await super().on_event(event)
            if not target.post_message(KeyHandled(number)):
                self.call_later(self._await_screen, number)

    def _next_number(self) -> int:
        self._number += 1
        self._in_flight, self._read_at, self._handled_by = self._number, monotonic(), None
        return self._number

    def on_key_handled(self, message: KeyHandled) -> None:
        message.stop()
        # Behind the change of focus that the key may have caused, which is in this queue, too.
        self.call_later(self._await_screen, message.number)

    async def _await_screen(self, number: int) -> None:
        """Read the next key when the current screen, which may be new, is mounted and has its focus."""
        if number != self._in_flight:
            return
        # Workers that the key has started open their dialogs first.
        for _ in range(3):
            await asyncio.sleep(0)
        if is_going(self):
            return
        screen = self._handled_by = self.screen
        done = partial(self.call_later, self._done, number, screen)
        if is_going(screen) or not screen.call_later(done):
            done()

    async def _done(self, number: int, screen: Screen[Any] | None = None) -> None:
        if number != self._in_flight or is_going(self):
            return
        if screen is not None and screen is not self.screen:
            await self._await_screen(number)
            return
        self._in_flight = None
        await self._read_next()

    def _watch_key(self) -> None:
        """Check the key that is being handled again and again while others wait for it."""
        if self._typed and not self._watching:
            self._watching = True
            self.set_timer(_POLL, self._check_key)

    async def _check_key(self) -> None:
        """Go on when the key was lost with its widget or its screen, or takes too long."""
        self._watching = False
        number = self._in_flight
        if number is None:
            await self._read_next()
        elif monotonic() > self._read_at + _MAX_WAIT:
            await self._done(number)
        elif self._handled_by is not None and is_going(self._handled_by):
            self._handled_by = None
            await self._await_screen(number)
        self._watch_key()
