"""The notification history."""

from __future__ import annotations

import pytest

from tests.support.tui.driver import SMALL, sees, shown, until
from tests.support.tui.fakes import FakeWorkbench, hello
from workbench.tui.screens.notifications import NotificationsScreen
from workbench.tui.screens.runs import RunsScreen
from workbench.tui.terminal import clipboard


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was put onto the clipboard."""
    texts: list[str] = []

    async def copy(text: str, *_: object) -> None:
        texts.append(text)

    monkeypatch.setattr(clipboard, "copy", copy)
    return texts


async def test_messages_are_listed_and_copied(copied: list[str]) -> None:
    app = FakeWorkbench([hello(7)])
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        app.notify("It went well.", markup=False)
        for _ in range(2):
            app.notify(f"It failed: {'because ' * 30}so", title="Not saved", severity="error", markup=False)
        await pilot.press("H")
        await until(pilot, sees(app, "default › messages (2)", "✗", "Not saved", "2× Not saved", "because so"))
        assert shown(app).index("It failed") < shown(app).index("It went well.")
        await pilot.press("down", "y")
        await until(pilot, lambda: len(copied) == 1)
        assert copied[0].endswith("information: It went well.")
        await pilot.press("Y")
        await until(pilot, lambda: len(copied) == 2)
        first, second = copied[1].split("\n")
        assert first.endswith("It went well.")
        assert "error: Not saved: It failed" in second
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_empty_history_is_explained() -> None:
    app = FakeWorkbench([hello(7)])
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("f9")
        await until(pilot, sees(app, "messages (0)", "No messages yet"))
        await pilot.press("y", "f9")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_control_sequences_are_removed_from_messages(copied: list[str]) -> None:
    app = FakeWorkbench([hello(7)])
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, sees(app, "hello-7"))
        app.notify("a \x1b]2;PWNED\x07title\nand a line", markup=False)
        await pilot.press("H")
        await until(pilot, lambda: isinstance(app.screen, NotificationsScreen))
        await until(pilot, sees(app, "and a line"))
        await pilot.press("y")
        await until(pilot, lambda: len(copied) == 1)
        assert "\x1b" not in shown(app) + copied[0]
