"""Waits for what an app shows, and reads its screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from textual.app import App
from textual.pilot import Pilot

WIDE, SMALL = (140, 45), (80, 24)


async def until(pilot: Pilot[Any], condition: Callable[[], bool], timeout: float = 10) -> None:
    """Let the app run until the condition holds; fail after `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            while not condition():
                await pilot.pause(0.01)
    except TimeoutError:
        raise AssertionError(f"the condition did not hold within {timeout} s:\n{shown(pilot.app)}") from None


def shown(app: App[Any]) -> str:
    """The text on the screen."""
    screen = app.screen
    width, height = screen.size
    strips = screen._compositor.render_strips()
    return "\n".join(strip.text[:width].rstrip() for strip in strips[:height])


def sees(app: App[Any], *texts: str) -> Callable[[], bool]:
    """A condition: all texts are on the screen."""
    return lambda: all(text in shown(app) for text in texts)
