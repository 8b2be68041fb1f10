"""The workbench on a fake controller."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.app import App
from textual.dom import DOMNode

from tests.support.tui.fake_controller import FakeController
from tests.support.tui.fake_runs import NOW, UNIT_LINES, hello, run, step, webshop
from workbench.client import (
    Run,
    RunChanged,
)
from workbench.pipeline_file.load import LintOutcome
from workbench.submit.submit import PackedSource
from workbench.tui import app as app_module
from workbench.tui.app import Workbench, WorkbenchOptions
from workbench.tui.options import DEFAULT_OPTIONS, AppOptions
from workbench.tui.services.interfaces import ControllerApi, LaunchResult, OnConnectionError

__all__ = [
    "NOW",
    "UNIT_LINES",
    "FakeController",
    "FakeLauncher",
    "FakeWorkbench",
    "busy_app",
    "hello",
    "run",
    "step",
    "webshop",
]


class FakeLauncher:
    """Starts `run`, or raises it where it is an error. `pipeline` is what lint makes of the file."""

    def __init__(
        self,
        run: Run | Exception | None = None,
        path: Path = Path("/home/me/shop/.c8s.yaml"),
        pipeline: str = "hello",
    ) -> None:
        self.path = path
        self.run = run
        self.launches = 0
        self.pipeline = LintOutcome((), {"name": pipeline})
        self.text: str | None = None
        self.options: dict[str, Any] = {}

    async def load(self, text: str | None = None) -> LintOutcome:
        self.text = text
        return self.pipeline

    @asynccontextmanager
    async def packed(self, definition: Mapping[str, Any]) -> AsyncGenerator[PackedSource | None, None]:
        yield None

    async def launch(self, controller: ControllerApi, definition: Mapping[str, Any], **options: Any) -> LaunchResult:
        self.options = options
        self.launches += 1
        if isinstance(self.run, Exception):
            raise self.run
        assert self.run is not None
        return LaunchResult(self.run)


class FakeWorkbench(Workbench):
    """The workbench on a fake controller."""

    CSS_PATH = Path(app_module.__file__).with_name("app.tcss")

    def __init__(
        self,
        runs: Iterable[Run] = (),
        *,
        lines: Mapping[str, list[str]] | None = None,
        options: AppOptions = DEFAULT_OPTIONS,
        fail_fast: bool = True,
        **workbench_options: Any,
    ) -> None:
        self.fail_fast = fail_fast
        """Whether a failure that the app would survive fails the test."""
        self.controller = FakeController(runs)
        self.controller.lines.update(lines or {})
        self.set_connection_error: OnConnectionError = lambda _: None
        """Breaks the connection, or with None restores it, as the client would."""
        super().__init__(
            self._connect, WorkbenchOptions(endpoint_label="default", now=lambda: NOW, **workbench_options), options
        )

    def report_failure(self, node: DOMNode, error: Exception) -> None:
        super().report_failure(node, error)
        if self.fail_fast:
            App._handle_exception(self, error)

    @asynccontextmanager
    async def _connect(self, on_error: OnConnectionError) -> AsyncIterator[ControllerApi]:
        self.set_connection_error = on_error
        yield self.controller

    def change_run(self, new: Run) -> None:
        """Let the controller report a run that is new or has changed."""
        self.controller.listed = (*(one for one in self.controller.listed if one.name != new.name), new)
        self.controller.changes.put_nowait(RunChanged(new))


def busy_app(**options: Any) -> FakeWorkbench:
    """A workbench with a run that is active and three that have ended."""
    runs = [
        webshop(),
        hello(7),
        run("wordcount-12", "Failed", [step("lint", (), "Succeeded"), step("test", ("lint",), "Failed")],
            created_ago=300, message="test failed: exit code 1", branch="feature/long-branch-name"),
        run("hello-6", "Cancelled", [step("greet", (), "Succeeded"), step("count", ("greet",), "Cancelled")],
            created_ago=86_400 * 3, message="cancelled by a person"),
    ]  # fmt: skip
    return FakeWorkbench(runs, lines={"unit": UNIT_LINES, "clone": ["Cloning …", "done"]}, **options)
