"""When a tour that plays by itself does what its hint is about. Without a clock of its own, and without widgets."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from workbench.tour.hints import Action, Hint

_SECONDS_PER_LETTER = 0.02
_LEAST_SECONDS = 1.6
"""Seconds for which even a short hint is shown."""
_ANNOUNCED = 0.6
"""Seconds for which a key is shown before it is pressed."""
_AGAIN = 5.0
"""Seconds after which something is done again that has changed nothing: a key may meet a screen that is opening."""
_PATIENCE = 90.0
"""Seconds without any change after which the tour gives up."""


@dataclass(frozen=True)
class Turn:
    """What to do now: the action if it is due. `stuck`: nothing has changed for too long."""

    action: Action | None = None
    stuck: bool = False


class Autoplay:
    """`pace` multiplies the time for which hints are shown; with 0, everything is done at once.

    `pressed` is what is about to be done.
    """

    def __init__(self, pace: float, clock: Callable[[], float]) -> None:
        self.pace = pace
        self.pressed: Action | None = None
        self._clock = clock
        self._hint: Hint | None = None
        self._due = 0.0
        self._state: Hashable = None
        self._changed_at = clock()

    def look(self, hint: Hint | None, state: Hashable) -> Turn:
        """What to do about this hint. `state` is all that may change while the tour waits."""
        now = self._clock()
        if state != self._state:
            self._state, self._changed_at = state, now
        if hint != self._hint:
            self._hint, self.pressed = hint, None
            self._due = now + self.pace * _reading_time(hint)
        if now - self._changed_at > _PATIENCE:
            return Turn(stuck=True)
        if hint is None or hint.action is None or now < self._due:
            return Turn()
        if self.pressed is None:
            self.pressed = hint.action
            self._due = now + self.pace * _ANNOUNCED
            return Turn()
        self._due = now + _AGAIN
        return Turn(hint.action)


def _reading_time(hint: Hint | None) -> float:
    return max(_LEAST_SECONDS, len(hint.text) * _SECONDS_PER_LETTER) if hint is not None else 0.0
