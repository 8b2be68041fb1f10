"""The setup app: requirements, start, stop and retry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from workbench.client.endpoint import Endpoint, SandboxError
from workbench.session.startup_progress import ProgressEvent, StartupProgress, StepEvent
from workbench.tui.setup.app import SetupApp
from workbench.tui.setup.providers import (
    EmbeddedProvider,
    OpeningProvider,
    Requirement,
    SandboxStartError,
    StartReport,
    embedded_providers,
)

ENDPOINT = Endpoint("http://127.0.0.1:1", Path("token"), sandbox="default")


class FakeProvider:
    """Two steps; the second waits for `go_on`, and the first `fails` tries fail."""

    title, description = "Fake: a way for tests", "Made of nothing."

    def __init__(self, fails: int = 0) -> None:
        self.fails, self.tries = fails, 0
        self.go_on = asyncio.Event()
        self.let_go = False

    async def requirements(self) -> Sequence[Requirement]:
        return [
            Requirement("nothing", "ok", "it is there"),
            Requirement("docker", "error", "it is not there", "Install Docker."),
        ]

    def steps(self) -> Sequence[tuple[str, str]]:
        return [("first", "Do the first"), ("second", "Do the second")]

    async def start(self, on_event: Callable[[StepEvent], None]) -> Endpoint:
        self.tries += 1
        on_event(ProgressEvent("first", "started", "", 0.0))
        on_event(ProgressEvent("first", "already" if self.tries > 1 else "done", "made", 0.1))
        on_event(ProgressEvent("second", "started", "", 0.0))
        on_event(ProgressEvent("second", "said", "pulling \x1b]2;PWNED\x07layers", 0.1))
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.let_go = True
            raise
        if self.tries <= self.fails:
            on_event(ProgressEvent("second", "failed", "no room", 1.0))
            raise SandboxStartError("Do the second: no room", "Make room.")
        on_event(ProgressEvent("second", "done", "", 1.0))
        return ENDPOINT


async def test_footer_offers_to_stop_only_what_has_begun() -> None:
    app = SetupApp([FakeProvider()])
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, sees(app, "Install Docker.", "Open", "Quit"))
        assert "Stop" not in shown(app).splitlines()[-1]
        await pilot.press("enter")
        await until(pilot, lambda: "Stop" in shown(app).splitlines()[-1])
        await pilot.press("escape")
        await until(pilot, lambda: "Stop" not in shown(app).splitlines()[-1])


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_requirements_of_each_provider_are_shown(size: tuple[int, int]) -> None:
    app = SetupApp([EmbeddedProvider("default"), FakeProvider()])
    async with app.run_test(size=size) as pilot:
        await until(pilot, sees(app, "There is no sandbox yet", "Embedded", "without isolation", "✓ disk", "✓ sh"))
        await pilot.press("down")
        await until(pilot, sees(app, "Made of nothing", "✓ nothing", "✗ docker", "Install Docker."))


async def test_runtime_is_chosen_with_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class FakeSandboxes:
        def __init__(self, *, runtime: str | None) -> None:
            self.runtime = runtime

        async def up(self, name: str, progress: Callable[[str], None]) -> Endpoint:
            started.append((name, self.runtime))
            return ENDPOINT

    monkeypatch.setattr("workbench.sandbox.Sandboxes", FakeSandboxes)
    app = SetupApp(embedded_providers("default", None))
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, sees(app, "ready in a second", "✓ sh"))
        await pilot.press("down")
        await until(pilot, sees(app, "even where Docker", "as processes of this"))
        await pilot.press("enter")
        await until(pilot, lambda: app.return_value is not None)
    assert started == [("default", "process")]
    assert [each.runtime for each in embedded_providers("default", "podman")] == ["podman"]


async def test_start_shows_steps_and_returns_the_endpoint() -> None:
    way = FakeProvider()
    app = SetupApp([way])
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("enter")
        await until(pilot, sees(app, "1 of 2 steps done", "✓    0.1 s  Do the first", "◐", "Do the second: pulling"))
        way.go_on.set()
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value is ENDPOINT


async def test_failed_start_can_be_retried() -> None:
    way = FakeProvider(fails=1)
    way.go_on.set()
    app = SetupApp([way])
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("enter")
        await until(pilot, sees(app, "✗", "no room", "Make room.", "Enter tries again"))
        await pilot.press("enter")
        await until(pilot, lambda: app.return_value is not None)
    assert way.tries == 2


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_start_can_be_stopped_and_continued(key: str) -> None:
    way = FakeProvider()
    app = SetupApp([way])
    async with app.run_test(size=SMALL, notifications=True) as pilot:
        await pilot.press("enter")
        await until(pilot, sees(app, "◐"))
        await pilot.press(key)
        await until(pilot, sees(app, "⊘", "Stopped."))
        assert way.let_go
        way.go_on.set()
        await pilot.press("enter")
        await until(pilot, lambda: app.return_value is not None)


async def test_escape_quits_when_nothing_runs() -> None:
    app = SetupApp([FakeProvider()])
    async with app.run_test(size=SMALL) as pilot:
        await pilot.press("escape")
        await until(pilot, lambda: not app.is_running)
    assert app.return_value is None


def test_progress_keeps_the_last_output() -> None:
    seen = StartupProgress.planned([("a", "A"), ("b", "B")])
    for number in range(300):
        seen = seen.apply(ProgressEvent("a", "said", str(number), 0.0))
    assert len(seen.output) == 200
    assert seen.output[-1] == "A: 299"
    seen = seen.apply(ProgressEvent("a", "done", "", 1.0)).apply(ProgressEvent("b", "started", "", 0.0)).stopped()
    assert [step.state for step in seen.steps] == ["done", "stopped"]


async def test_sandbox_is_started_on_the_screen() -> None:
    attached, ready, fails, loaded = asyncio.Event(), asyncio.Event(), [True], []

    async def attach(report: StartReport) -> Endpoint:
        report.said("starting sandbox default: steps run as you")
        await attached.wait()
        report.listening()
        report.waiting("the controller does not answer yet")
        await ready.wait()
        if fails:
            fails.clear()
            raise SandboxError("the disk is full")
        return ENDPOINT

    provider = OpeningProvider("default", attach, lambda: loaded.append(1))
    app = SetupApp([provider], starts_at_once=True)
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, sees(app, "The sandbox is being started.", "starting sandbox default: steps run as you"))
        await until(pilot, sees(app, "◐", "Start its processes", "● "))
        attached.set()
        await until(pilot, sees(app, "Wait until they are ready  the controller does not answer yet"))
        ready.set()
        await until(pilot, sees(app, "✗", "the disk is full", "Enter tries again from here."))
        assert isinstance(provider.failure, SandboxError)
        await pilot.press("enter")
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value is ENDPOINT
    assert provider.failure is None
    assert loaded


async def test_ctrl_c_leaves_a_start_that_the_workbench_follows() -> None:
    way = FakeProvider()
    app = SetupApp([way], starts_at_once=True)
    async with app.run_test(size=SMALL) as pilot:
        await until(pilot, sees(app, "◐"))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not app.is_running)
    assert (app.return_value, app.return_code, way.let_go) == (None, 130, True)
