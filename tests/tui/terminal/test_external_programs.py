"""Opening files with external programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.drivers.headless_driver import HeadlessDriver

from tests.support.tui.driver import WIDE, sees, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, hello
from workbench.tui.terminal.external_programs import viewer_command


def test_viewer_is_the_desktop_or_a_pager() -> None:
    assert viewer_command({"DISPLAY": ":0"}, "linux", lambda _: "there") == (["xdg-open"], False)
    assert viewer_command({"DISPLAY": ":0", "PAGER": "most -s"}, "linux", lambda it: it if it == "most" else None) == (
        ["most", "-s"], True,
    )  # fmt: skip
    assert viewer_command({}, "linux", lambda _: None) == (["more"], True)
    assert viewer_command({}, "darwin", lambda _: None) == (["open"], False)


@pytest.mark.parametrize("editor", ["/nonexistent/editor", "false"])
async def test_editor_that_fails_gives_the_terminal_back(
    editor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", editor)
    file = tmp_path / ".c8s.yaml"
    file.write_text("name: hello\n")
    modes: list[str] = []
    monkeypatch.setattr(HeadlessDriver, "can_suspend", True)
    monkeypatch.setattr(HeadlessDriver, "suspend_application_mode", lambda _: modes.append("suspended"))
    monkeypatch.setattr(HeadlessDriver, "resume_application_mode", lambda _: modes.append("resumed"))
    app = FakeWorkbench([hello(7)], launcher=FakeLauncher(None, file))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("e")
        await until(pilot, sees(app, "name: hello"))
        await pilot.press("f4")
        await until(pilot, lambda: modes == ["suspended", "resumed"])
        await until(pilot, sees(app, "$EDITOR", editor, "name: hello"))
