"""Waits for what an app shows, and reads its screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual._context import visible_screen_stack
from textual.app import App
from textual.pilot import Pilot

from tests.support.waiting import LONGEST, wait_until_async

WIDE, SMALL = (140, 45), (80, 24)


async def until(pilot: Pilot[Any], condition: Callable[[], bool], timeout: float = LONGEST) -> None:
    """`wait_until_async` that lets the app handle its messages between two checks; the failure has the screen.

    Its limit is in real seconds, also in virtual time.
    """

    async def holds() -> bool:
        if condition():
            return True
        await pilot.pause(0.01)
        return False

    await wait_until_async(holds, timeout, what=lambda: f"On the screen\n{shown(pilot.app)}\nthe condition", interval=0)


def shown(app: App[Any]) -> str:
    """The text on the screen."""
    screen = app.screen
    width, height = screen.size
    # As Textual does when it draws: without, a dialog that it has not drawn yet would have nothing behind it, and it
    # would keep what was drawn here.
    visible_screen_stack.set(app._background_screens)
    strips = screen._compositor.render_strips()
    return "\n".join(strip.text[:width].rstrip() for strip in strips[:height])


def sees(app: App[Any], *texts: str) -> Callable[[], bool]:
    """A condition: all texts are on the screen."""
    return lambda: all(text in shown(app) for text in texts)
