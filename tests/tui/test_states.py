"""Every state has its own words: loading, nothing, failed, disconnected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.tui.driver import WIDE, sees, shown, until
from tests.support.tui.fakes import NOW, FakeLauncher, FakeWorkbench, busy_app, hello, run, step
from workbench.client import BacklogEnd, Lines, LogLine, StreamKey
from workbench.client.errors import NotFoundError, ServerError
from workbench.tui import app as app_module
from workbench.tui.app import Workbench
from workbench.tui.screens.run.screen import RunScreen
from workbench.tui.widgets.log.grid import LogGrid
from workbench.tui.widgets.log.view import LogView

_KEY = StreamKey("work", 1, "step")


def _stored(app: FakeWorkbench, monkeypatch: pytest.MonkeyPatch, answers: list[object]) -> asyncio.Event:
    """Answer requests for stored logs one after the other with blocks or errors; a block waits for the event."""
    go_on = asyncio.Event()

    async def blocks(*_: Any, **__: Any) -> AsyncGenerator[bytes, None]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        await go_on.wait()
        assert isinstance(answer, bytes)
        if answer:
            yield answer

    monkeypatch.setattr(app.controller, "log_blocks", blocks)
    return go_on


def _ended() -> FakeWorkbench:
    return FakeWorkbench([run("ended-1", "Succeeded", [step("work", (), "Succeeded")])], open_run="ended-1")


async def test_loading_log_does_not_say_that_it_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    app = _ended()
    go_on = _stored(app, monkeypatch, [b""])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "Loading the log …"))
        assert "No output" not in shown(app)
        go_on.set()
        await until(pilot, sees(app, "No output."))


async def test_log_that_is_loading_keeps_the_focus_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [step("first", (), "Succeeded"), step("second", (), "Succeeded")]
    app = FakeWorkbench([run("ended-1", "Succeeded", steps)], open_run="ended-1")
    go_on = _stored(app, monkeypatch, [b"- line\n"])
    go_on.set()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "1  line"))
        await pilot.press("2", "home", "3")
        await until(pilot, sees(app, "› first"))
        await until(pilot, lambda: isinstance(app.focused, LogView))
        go_on.clear()
        assert isinstance(app.screen, RunScreen)
        app.screen.step = "second"
        await until(pilot, sees(app, "Loading the log …"))
        await pilot.press("plus", "w")
        await until(pilot, lambda: len(app.screen.query_one(LogGrid).panes) == 2)
        await until(pilot, lambda: isinstance(app.focused, LogView) and app.focused.wrap)


async def test_log_that_cannot_be_loaded_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.tui.services.log_feed._RETRY_SECONDS", 0.01)
    app = _ended()
    answers: list[object] = [ServerError("the store is away")]
    _stored(app, monkeypatch, answers).set()
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "The log can't be loaded: the store is away"))
        answers[0] = b"- here it is\n"
        await until(pilot, sees(app, "here it is"))
        assert "incomplete" not in shown(app)


async def test_deleted_log_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    app = _ended()
    _stored(app, monkeypatch, [NotFoundError("no such log")])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "The log can't be loaded: it is no longer stored"))


async def test_running_step_has_no_output_only_after_its_backlog() -> None:
    app = FakeWorkbench([run("live-1", "Running", [step("work", (), "Running")])], open_run="live-1")
    waiting = asyncio.Event()

    async def frames(*_: Any, **__: Any) -> AsyncGenerator[object, None]:
        await waiting.wait()
        yield BacklogEnd(_KEY)
        await asyncio.Event().wait()

    app.controller.stream_logs = frames  # type: ignore[assignment]
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "Loading the log …"))
        waiting.set()
        await until(pilot, sees(app, "No output yet."))


async def test_heading_has_the_phase_of_the_shown_attempt() -> None:
    made = step("work", (), "Succeeded", attempts=2)
    made = replace(made, attempts=(replace(made.attempts[0], phase="Failed", exit_code=1), made.attempts[1]))
    app = FakeWorkbench([run("tried-1", "Succeeded", [made])], open_run="tried-1")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "✓ work  0 lines  attempt 2 of 2"))
        await pilot.press("2")
        app.screen.query_one("#log-pane").action_other_attempt()  # type: ignore[attr-defined]
        await until(pilot, sees(app, "✗ work  0 lines  attempt 1 of 2"))


async def test_attempts_go_back_one_by_one_and_then_to_the_last() -> None:
    app = FakeWorkbench([run("tried-1", "Failed", [step("work", (), "Failed", attempts=3)])], open_run="tried-1")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "attempt 3 of 3"))
        for attempt in (2, 1, 3):
            app.screen.query_one("#log-pane").action_other_attempt()  # type: ignore[attr-defined]
            await until(pilot, sees(app, f"attempt {attempt} of 3"))


async def test_cancelling_without_a_run_says_so() -> None:
    app = FakeWorkbench([])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "No runs yet"))
        await pilot.press("ctrl+x")
        await until(pilot, sees(app, "No run is selected."))


async def test_lost_connection_says_since_when_and_stops_the_clocks() -> None:
    app = FakeWorkbench([run("live-1", "Running", [step("work", (), "Running")])], open_run="live-1")
    app.controller.live_frames["work"] = asyncio.Queue()
    app.controller.live_frames["work"].put_nowait(Lines(_KEY, 1, (LogLine(None, "one"),)))
    moment = [NOW]
    app._clock = app.feed._now = lambda: moment[0]
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "one", "following"))
        app.set_connection_error("no connection to http://127.0.0.1:1")
        since = f"{NOW.astimezone():%H:%M:%S}"
        await until(pilot, sees(app, "Connection lost, trying again", f"What is shown is as of {since}."))
        await until(pilot, sees(app, f"1 line  as of {since}"))
        moment[0] = NOW + timedelta(minutes=5)
        assert app.now() == NOW
        app.set_connection_error(None)
        await until(pilot, sees(app, "following"))
        assert app.now() == moment[0]


async def test_u_starts_the_sandbox_again() -> None:
    started: list[bool] = []
    app = busy_app(start_sandbox=None)

    async def start() -> None:
        started.append(True)
        app.set_connection_error(None)

    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "runs (4)"))
        app.set_connection_error("no connection")
        await pilot.press("U")
        await until(pilot, sees(app, "does not run in a sandbox"))
        app._start_sandbox = start
        app.set_connection_error("no connection to it")
        await until(pilot, sees(app, "U starts the sandbox if it was stopped"))
        await pilot.press("U")
        await until(pilot, lambda: started == [True])
        await until(pilot, lambda: "Connection lost" not in shown(app))


async def test_pipeline_file_is_noticed_when_it_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(app_module, "_PIPELINE_POLL", 0.02)
    file = tmp_path / ".c8s.yaml"
    app = FakeWorkbench(
        [],
        find_pipeline=lambda: file if file.exists() else None,
        make_launcher=lambda path: FakeLauncher(hello(8, "Running"), path),
    )
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "There is no .c8s.yaml here", "e writes one"))
        file.write_text("name: shop\n")
        await until(pilot, sees(app, "Press r to run"))
        await pilot.press("r")
        await until(pilot, sees(app, "runs › hello-8"))


async def test_runs_that_cannot_be_loaded_are_not_called_loading() -> None:
    app = FakeWorkbench([hello(7)])
    app.controller.error = ServerError("the controller fails")
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "The runs can't be loaded without a connection.", "the controller fails"))


def test_clock_runs_while_connected() -> None:
    app: Workbench = FakeWorkbench([])
    assert app.now() == NOW


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (("K",), "The secrets can't be loaded without a connection."),
        (("P",), "The deliveries can't be loaded without a connection."),
        (("C",), "What the controller knows can't be loaded without a connection."),
    ],
)
async def test_screen_that_is_opened_without_a_connection_says_so(keys: tuple[str, ...], says: str) -> None:
    app = FakeWorkbench([hello(7)])
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-7"))
        app.set_connection_error("no connection to http://127.0.0.1:1")
        await pilot.press(*keys)
        await until(pilot, sees(app, says))
        app.set_connection_error(None)
        await until(pilot, lambda: says not in shown(app))
