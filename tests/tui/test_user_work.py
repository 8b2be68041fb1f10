"""What the user asks for is done, whatever is typed before it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.support.tui.driver import WIDE, sees, until
from tests.support.tui.fakes import FakeLauncher, FakeWorkbench, hello, run, step
from workbench.tui.screens.editor import EditorScreen
from workbench.tui.screens.run.screen import RunScreen


class Gate:
    """Lets calls wait until it is open."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self.waiting = 0

    def before(self, call: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def wait(*args: Any, **kwargs: Any) -> Any:
            self.waiting += 1
            await self._open.wait()
            return await call(*args, **kwargs)

        return wait

    def open(self) -> None:
        self._open.set()


def messages(app: FakeWorkbench) -> str:
    return "\n".join(each.text for each in app.messages.newest_first())


async def test_run_that_is_asked_for_again_starts_once() -> None:
    gate, launcher = Gate(), FakeLauncher(hello(9, "Running"))
    launcher.launch = gate.before(launcher.launch)  # type: ignore[method-assign]
    app = FakeWorkbench([hello(7)], launcher=launcher)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("r")
        await until(pilot, lambda: gate.waiting == 1)
        await pilot.press("r")
        await until(pilot, lambda: "A run of .c8s.yaml is being started already." in messages(app))
        gate.open()
        await until(pilot, lambda: app.screen.is_current and isinstance(app.screen, RunScreen))
        assert launcher.launches == gate.waiting == 1


async def test_run_that_starts_while_one_types_does_not_take_the_keys(tmp_path: Path) -> None:
    gate, launcher = Gate(), FakeLauncher(hello(9, "Running"), tmp_path / ".c8s.yaml")
    launcher.path.write_text("name: hello\n")
    launcher.launch = gate.before(launcher.launch)  # type: ignore[method-assign]
    app = FakeWorkbench([hello(7)], launcher=launcher)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        await pilot.press("r")
        await until(pilot, lambda: gate.waiting == 1)
        await pilot.press("e")
        await until(pilot, sees(app, "name: hello"))
        gate.open()
        await until(pilot, lambda: "hello-9 has started." in messages(app))
        await pilot.press("R")
        await until(pilot, sees(app, "Rname: hello"))
        assert isinstance(app.screen, EditorScreen)


async def test_run_is_run_again_though_its_screen_is_left() -> None:
    gate, app = Gate(), FakeWorkbench([hello(7)], open_run="hello-7")
    app.controller.rerun = gate.before(app.controller.rerun)  # type: ignore[method-assign]
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7", "✓ greet"))
        await pilot.press("R")
        await until(pilot, lambda: gate.waiting == 1)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        gate.open()
        await until(pilot, lambda: app.controller.rerun_of == [("hello-7", False)])
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.current_run == "hello-8")


async def test_each_run_that_is_deleted_or_cancelled_is() -> None:
    gate, app = Gate(), FakeWorkbench([hello(7), hello(6), hello(5, "Running")])
    app.controller.delete = gate.before(app.controller.delete)  # type: ignore[method-assign]
    app.controller.cancel = gate.before(app.controller.cancel)  # type: ignore[method-assign]
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7", "hello-5"))
        for keys, waiting in ((("D", "y"), 1), (("j", "D", "y"), 2), (("j", "ctrl+x", "y"), 3)):
            await pilot.press(*keys)
            await until(pilot, lambda expected=waiting: gate.waiting == expected)  # type: ignore[misc]
        gate.open()
        await until(pilot, lambda: set(app.controller.deleted) == {"hello-7", "hello-6"})
        await until(pilot, lambda: app.controller.cancelled == ["hello-5"])


async def test_each_artifact_that_is_saved_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DOWNLOAD_DIR", str(tmp_path))
    gate = Gate()
    app = FakeWorkbench([run("shop-1", "Succeeded", [step("build", (), "Succeeded")])], open_run="shop-1")
    app.controller.artifact_files = {"a.txt": b"a", "b.txt": b"b"}
    app.controller.download_file = gate.before(app.controller.download_file)  # type: ignore[method-assign]
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ build"))
        await pilot.press("d", "left")
        await until(pilot, sees(app, "a.txt", "b.txt"))
        await pilot.press("tab", "ctrl+s", "j", "ctrl+s", "escape")
        await until(pilot, lambda: gate.waiting == 2)
        gate.open()
        await until(pilot, lambda: sorted(each.read_bytes() for each in tmp_path.glob("*.txt")) == [b"a", b"b"])
