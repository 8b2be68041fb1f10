"""Toasts can be read again and copied."""

from __future__ import annotations

import pytest

from tests.tui.fakes import Scene, hello
from tests.tui.test_workbench import SMALL, sees, shown, until
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


async def test_what_was_said_is_listed_newest_first_and_copied(copied: list[str]) -> None:
    scene = Scene([hello(7)])
    async with scene.app.run_test(size=SMALL, notifications=True) as pilot:
        await until(pilot, sees(scene, "hello-7"))
        scene.app.notify("It went well.", markup=False)
        for _ in range(2):
            scene.app.notify(f"It failed: {'because ' * 30}so", title="Not saved", severity="error", markup=False)
        await pilot.press("H")
        await until(pilot, sees(scene, "default › messages (2)", "✗", "Not saved", "2× Not saved", "because so"))
        assert shown(scene).index("It failed") < shown(scene).index("It went well.")
        await pilot.press("down", "y")
        await until(pilot, lambda: len(copied) == 1)
        assert copied[0].endswith("information: It went well.")
        await pilot.press("Y")
        await until(pilot, lambda: len(copied) == 2)
        first, second = copied[1].split("\n")
        assert first.endswith("It went well.")
        assert "error: Not saved: It failed" in second
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(scene.app.screen, RunsScreen))


async def test_when_nothing_was_said_it_says_so() -> None:
    scene = Scene([hello(7)])
    async with scene.app.run_test(size=SMALL) as pilot:
        await until(pilot, sees(scene, "hello-7"))
        await pilot.press("f9")
        await until(pilot, sees(scene, "messages (0)", "Nothing was said yet"))
        await pilot.press("y", "f9")
        await until(pilot, lambda: isinstance(scene.app.screen, RunsScreen))


async def test_control_sequences_in_a_message_are_harmless_in_the_list(copied: list[str]) -> None:
    scene = Scene([hello(7)])
    async with scene.app.run_test(size=SMALL) as pilot:
        await until(pilot, sees(scene, "hello-7"))
        scene.app.notify("a \x1b]2;PWNED\x07title\nand a line", markup=False)
        await pilot.press("H")
        await until(pilot, lambda: isinstance(scene.app.screen, NotificationsScreen))
        await until(pilot, sees(scene, "and a line"))
        await pilot.press("y")
        await until(pilot, lambda: len(copied) == 1)
        assert "\x1b" not in shown(scene) + copied[0]
