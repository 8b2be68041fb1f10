"""The workbench on a page of `c8s serve`: what the browser does in place of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.tui.driver import WIDE, sees, until
from tests.support.tui.fakes import FakeWorkbench, hello
from workbench.tui.terminal import clipboard
from workbench.tui.terminal.ascii_filter import supports_unicode
from workbench.tui.terminal.external_programs import cannot_suspend, open_file
from workbench.tui.terminal.served import give_file, is_served

PAGE = {"C8S_SERVED": "1", "DISPLAY": ":0", "LANG": "C", "TERM": "xterm-256color"}


class FakeApp:
    def __init__(self) -> None:
        self.given: list[tuple[bytes, str]] = []

    def deliver_binary(self, path: Path, *, save_filename: str, mime_type: str) -> None:
        assert mime_type == "application/octet-stream"
        self.given.append((path.read_bytes(), save_filename))


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PAGE.items():
        monkeypatch.setenv(name, value)


def test_a_page_shows_all_characters_and_has_a_clipboard_of_its_own() -> None:
    assert is_served(PAGE)
    assert supports_unicode(PAGE)
    assert clipboard.clipboard_commands(PAGE, "darwin") == []
    other = {name: value for name, value in PAGE.items() if name != "C8S_SERVED"}
    assert not is_served(other)
    assert not supports_unicode(other)
    assert clipboard.clipboard_commands(other, "linux")


async def test_files_are_given_to_the_browser_and_not_kept(served: None, tmp_path: Path) -> None:
    app: Any = FakeApp()
    for give in (lambda file: give_file(app, file, "a.txt"), lambda file: open_file(app, file)):
        file = tmp_path / "a.txt"
        file.write_bytes(b"content")
        result = give(file)
        if result is not None:
            await result
        assert not file.exists()
    assert app.given == [(b"content", "a.txt")] * 2


async def test_a_shell_is_for_a_terminal(served: None) -> None:
    assert "browser" in cannot_suspend()
    app = FakeWorkbench([hello(7, "Running")], open_run="hello-7", command_options=" --name other",
                        shell=lambda *_: ["must not be started"])  # fmt: skip
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "greet"))
        await pilot.press("S")
        await until(pilot, lambda: len(app.messages) > 0)
        said = next(app.messages.newest_first()).text
        assert said.endswith("There: c8s shell --name other hello-7 greet"), said
