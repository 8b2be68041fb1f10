"""What all tests of the terminal UI need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual import _wait
from textual.pilot import Pilot

from tests.support.tui.styles import parsed_styles

_ROUNDS = 3


@pytest.fixture(autouse=True)
def downloads(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for saved files, so that none gets into that of the person who runs the tests."""
    folder = tmp_path_factory.mktemp("downloads")
    monkeypatch.setenv("XDG_DOWNLOAD_DIR", str(folder))
    return folder


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
