"""The tour on a controller of the test; what fails in it is raised."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.app import App
from textual.dom import DOMNode

from tests.support.tui.fakes import FakeController
from workbench.tui import app as app_module
from workbench.tui.services.interfaces import ControllerApi, OnConnectionError
from workbench.tui.tour.app import TourWorkbench


class FakeTourApp(TourWorkbench):
    """The base of tours without a sandbox: `connect` is given to them, and `controller` is set before."""

    CSS_PATH = Path(app_module.__file__).with_name("app.tcss")
    controller: FakeController
    set_connection_error: OnConnectionError = staticmethod(lambda _: None)

    @asynccontextmanager
    async def connect(self, on_error: OnConnectionError) -> AsyncIterator[ControllerApi]:
        self.set_connection_error = on_error
        yield self.controller

    def report_failure(self, node: DOMNode, error: Exception) -> None:
        super().report_failure(node, error)
        App._handle_exception(self, error)
