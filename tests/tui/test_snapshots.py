"""SVG snapshots of the screens.

After a deliberate change: `pytest tests/tui/test_snapshots.py --snapshot-update`, then look at each picture.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import NOW, FakeLauncher, FakeWorkbench, busy_app
from tests.support.tui.virtual_time import run_virtual
from tests.tui.screens.test_cluster import HEALTH, status
from tests.tui.screens.test_deliveries import EXAMPLES, connected
from tests.tui.screens.test_run_failure import failed_app, failed_run
from tests.tui.screens.test_test_results import unit_app
from tests.tui.setup.test_setup_app import FakeProvider
from tests.tui.widgets.test_dag_view import matrix_app
from workbench.client.endpoint import Endpoint
from workbench.tui.keybindings import resolve_keymap
from workbench.tui.options import AppOptions
from workbench.tui.screens.dialogs import ConfirmDialog
from workbench.tui.setup.app import SetupApp

SnapCompare = Callable[..., bool]


def after(
    app: FakeWorkbench, *texts: str, press: tuple[str, ...] = (), then: str = ""
) -> Callable[[Pilot[int]], Awaitable[None]]:
    """Wait until these texts are shown, press keys, wait for one more text; each time also until nothing changes."""

    async def settle(pilot: Pilot[int]) -> None:
        await until(pilot, sees(app, *texts))
        await until_still(pilot)
        await pilot.press(*press)
        await until(pilot, sees(app, then))
        await until_still(pilot)

    return settle


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take pictures in virtual time: within a pause, all that is due is drawn, however busy the machine is."""
    monkeypatch.setattr(asyncio, "run", run_virtual)


async def until_still(pilot: Pilot[Any]) -> None:
    """Wait until the picture stays the same; with its colours, and with what is behind a dialog."""
    before, same = "", 0
    while same < 2:
        now = pilot.app.export_screenshot()
        same = same + 1 if now == before else 0
        before = now
        await pilot.pause(0.1)


async def test_reading_a_dialog_leaves_what_is_behind_it() -> None:
    app = busy_app()
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, sees(app, "webshop-42"))
        app.push_screen(ConfirmDialog("Sure?", "It can't be undone.", "Yes"))
        await until(pilot, sees(app, "Sure?"))
        # As before Textual has drawn it for the first time.
        app.screen.refresh()
        assert "Sure?" in shown(app)
        assert "webshop-42" in app.export_screenshot()


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "140x45"])
def test_runs(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = busy_app()
    assert snap_compare(app, terminal_size=size, run_before=after(app, "webshop-42", "images ignored"))


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "140x45"])
def test_failed_run(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = busy_app(open_run="webshop-42")
    settle = after(app, "webshop-42 › unit", "26 passed", "7 lines", "images ignored")
    assert snap_compare(app, terminal_size=size, run_before=settle)


@pytest.mark.parametrize("theme", ["c8s-light", "ansi-dark"])
def test_failed_run_in_other_themes(snap_compare: SnapCompare, theme: str) -> None:
    app = busy_app(open_run="webshop-42")
    app.theme = theme
    settle = after(app, "webshop-42 › unit", "26 passed", "7 lines", "images ignored")
    assert snap_compare(app, terminal_size=WIDE, run_before=settle)


@pytest.fixture
def utc() -> Iterator[None]:
    """Times of the day are those of Greenwich."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "140x45"])
def test_failure_card(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = failed_app(failed_run(more_steps=8))
    press = ("I",) if size == SMALL else ()
    settle = after(app, "26 passed", "images ignored", press=press, then="Differs from shop-41")
    assert snap_compare(app, terminal_size=size, run_before=settle)


def test_messages(snap_compare: SnapCompare, utc: None) -> None:
    app = busy_app()

    async def settle(pilot: Pilot[int]) -> None:
        await until(pilot, sees(app, "webshop-42", "images ignored"))
        refused = "the controller has refused: steps[3].dependsOn[1] names no step"
        app.messages.add(NOW, "information", "", "Saved /home/me/shop/.c8s.yaml")
        app.messages.add(NOW, "warning", "", "There is no connection to run it on.")
        app.messages.add(NOW, "error", "Not started", refused)
        app.messages.add(NOW, "error", "Not started", refused)
        await after(app, press=("H",), then="messages (3)")(pilot)

    assert snap_compare(app, terminal_size=SMALL, run_before=settle)


def test_help_with_custom_keys(snap_compare: SnapCompare) -> None:
    keys = {"app.run": "x", "app.help": ["?", "f6"], "rows.up": "ctrl+k"}
    app = busy_app(options=AppOptions(keymap=resolve_keymap(keys)))
    settle = after(app, "webshop-42", "images ignored", press=("f6",), then="Anywhere")
    assert snap_compare(app, terminal_size=SMALL, run_before=settle)


def test_folded_matrix(snap_compare: SnapCompare) -> None:
    app = matrix_app()
    settle = after(app, "test ×98", "shard three", "1 line", "images ignored")
    assert snap_compare(app, terminal_size=WIDE, run_before=settle)


def test_failed_run_in_ascii(snap_compare: SnapCompare) -> None:
    app = busy_app(open_run="webshop-42", options=AppOptions(ascii_only=True))
    settle = after(app, "webshop-42 > unit", "26 passed", "7 lines", "images ignored")
    assert snap_compare(app, terminal_size=SMALL, run_before=settle)


def test_cancel_dialog(snap_compare: SnapCompare) -> None:
    app = busy_app(open_run="webshop-42")
    settle = after(
        app, "webshop-42 › unit", "26 passed", "7 lines", "images ignored", press=("ctrl+x",), then="Cancel webshop-42?"
    )
    assert snap_compare(app, terminal_size=SMALL, run_before=settle)


def test_no_runs(snap_compare: SnapCompare) -> None:
    app = FakeWorkbench([], launcher=FakeLauncher())
    assert snap_compare(app, terminal_size=SMALL, run_before=after(app, "No runs yet", "images ignored"))


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "140x45"])
def test_cluster(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = FakeWorkbench([], sandbox=status)
    app.controller.health_report = HEALTH
    settle = after(app, "No runs yet", "images ignored", press=("C",), then="the disk is full")
    assert snap_compare(app, terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "140x45"])
def test_deliveries(snap_compare: SnapCompare, utc: None, size: tuple[int, int]) -> None:
    app = connected(*EXAMPLES)
    settle = after(app, "hello-7", "images ignored", press=("P", "down"), then="pipeline hello: the branch topic")
    assert snap_compare(app, terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "140x45"])
def test_setup_requirements(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = SetupApp([FakeProvider()])

    async def settle(pilot: Pilot[Endpoint | None]) -> None:
        await until(pilot, sees(app, "Install Docker."))
        await until_still(pilot)

    assert snap_compare(app, terminal_size=size, run_before=settle)


def test_setup_progress(snap_compare: SnapCompare) -> None:
    app = SetupApp([FakeProvider()])

    async def settle(pilot: Pilot[Endpoint | None]) -> None:
        await pilot.press("enter")
        await until(pilot, sees(app, "1 of 2 steps done", "pulling", "esc Stop"))
        await until_still(pilot)

    assert snap_compare(app, terminal_size=SMALL, run_before=settle)


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "140x45"])
def test_test_results(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    app = unit_app()
    settle = after(app, "shop-3", press=("T",), then="1 flaky")
    assert snap_compare(app, terminal_size=size, run_before=settle)
