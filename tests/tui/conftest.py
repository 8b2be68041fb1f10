"""What all tests of the terminal UI need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual import _wait
from textual.css.stylesheet import Stylesheet
from textual.pilot import Pilot

_ROUNDS = 3


@pytest.fixture(autouse=True)
def downloads(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for saved files, so that none gets into that of the person who runs the tests."""
    folder = tmp_path_factory.mktemp("downloads")
    monkeypatch.setenv("XDG_DOWNLOAD_DIR", str(folder))
    return folder


@pytest.fixture(autouse=True, scope="session")
def parsed_styles() -> Iterator[None]:
    """Parse each style sheet once for each theme, and not again in each app: a tenth of the time of a short test."""
    parse, parsed = Stylesheet._parse_rules, dict[Any, Any]()

    def parse_once(sheet: Stylesheet, *arguments: Any, **options: Any) -> Any:
        key = (arguments, tuple(sorted(options.items())), tuple(sorted(sheet._variables.items())))
        if key not in parsed:
            parsed[key] = parse(sheet, *arguments, **options)
        return parsed[key]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Stylesheet, "_parse_rules", parse_once)
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
