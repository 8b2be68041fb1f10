"""The end of a run is reported on the terminal, in the ways that the user has chosen."""

from __future__ import annotations

import pytest

from tests.support.tui.driver import WIDE, sees, until
from tests.support.tui.fakes import FakeWorkbench, hello
from workbench.config.preferences import NOTIFY_WAYS, Preferences
from workbench.tui.options import AppOptions
from workbench.tui.terminal.notify import RESTORE_TITLE, SAVE_TITLE, notification_sequences


@pytest.mark.parametrize(
    ("way", "sequence"),
    [
        ("bell", "\a"),
        ("osc9", "\x1b]9;c8s: ✓ shop-1\x1b\\"),
        ("osc777", "\x1b]777;notify;c8s;✓ shop-1\x1b\\"),
        ("title", "\x1b]2;✓ shop-1\x1b\\"),
    ],
)
def test_each_way_has_its_sequence(way: str, sequence: str) -> None:
    assert notification_sequences("✓ shop-1", [way], {}) == sequence


def test_desktop_notification_passes_through_tmux() -> None:
    written = notification_sequences("x", ["osc9", "title"], {"TMUX": "/tmp/socket"})
    assert written == "\x1bPtmux;\x1b\x1b]9;c8s: x\x1b\x1b\\\x1b\\" + "\x1b]2;x\x1b\\"


def test_untrusted_name_cannot_end_the_sequence() -> None:
    written = notification_sequences("a\x07b\x1b\\c;d\x9cE", ["title"], {})
    assert written.startswith("\x1b]2;")
    assert written.endswith("\x1b\\")
    assert not set(written[4:-2]) & {"\x07", "\x1b", "\x9c", ";"}


@pytest.mark.parametrize("ways", [NOTIFY_WAYS, ()])
async def test_end_of_an_opened_run_is_reported_once(ways: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    written: list[str] = []
    options = AppOptions(Preferences(notify=ways))
    app = FakeWorkbench([hello(7, "Running"), hello(6, "Running", created_ago=9000)], options=options)
    monkeypatch.setattr(app, "write_terminal", lambda text: written.append(text) if text else None)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("enter")
        await until(pilot, sees(app, "runs › hello-7"))
        app.change_run(hello(6, "Succeeded"))
        app.change_run(hello(7, "Failed"))
        await until(pilot, sees(app, "✗ Failed"))
        app.change_run(hello(7, "Failed"))
        await pilot.press("escape")
        await until(pilot, sees(app, "runs (2)"))
        await pilot.press("q")
    assert written == (
        [SAVE_TITLE, notification_sequences("✗ hello-7: Failed", ways, {}), RESTORE_TITLE] if ways else []
    )
