"""What all tests of the terminal UI need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from textual import _wait
from textual.pilot import Pilot

from tests.support.tui.styles import parsed_styles
from tests.support.tui.virtual_time import VirtualTimeLoop, virtual_clocks

_ROUNDS = 3


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests of this folder in virtual time, unless they are marked with `real_time`.

    The limits of an app (how long it waits for a key, shows a notice, or retries) then do not depend on how fast the
    machine is.
    """
    real = item.get_closest_marker("real_time") is not None
    return {"loop": asyncio.new_event_loop if real else VirtualTimeLoop}


@pytest.fixture(autouse=True, scope="session")
def _virtual_clocks() -> Iterator[None]:
    with virtual_clocks():
        yield


@pytest.fixture(autouse=True)
def downloads(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for saved files, so that none gets into that of the person who runs the tests."""
    folder = tmp_path_factory.mktemp("downloads")
    monkeypatch.setenv("XDG_DOWNLOAD_DIR", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _no_clipboard_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is copied stays in the app, also where the tests are run in tmux or on a desktop."""
    for name in ("TMUX", "DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True, scope="session")
def _parsed_styles() -> Iterator[None]:
    with parsed_styles():
        yield


@pytest.fixture(autouse=True, scope="session")
def keys_are_awaited() -> Iterator[None]:
    """Wait after each key until all widgets have handled their messages, and not for a pause of 20 ms and more."""

    async def press(pilot: Pilot[Any], *keys: str) -> None:
        for key in keys:
            await pilot.app._press_keys([key])
            # What a widget does with a key it may say in a message to another one.
            for _ in range(_ROUNDS):
                await pilot._wait_for_screen()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_wait, "SLEEP_GRANULARITY", 0.002)
        patched.setattr(_wait, "SLEEP_IDLE", 0.0005)
        patched.setattr(Pilot, "press", press)
        yield
