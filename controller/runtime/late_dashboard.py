"""Adds the dashboard to the API's application once its modules are imported; requests for its pages wait for that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.runtime.deferred_imports import DeferredImports
from controller.runtime.late_modules import REST
from controller.runtime.path_switch import App, PathSwitch, Scope

if TYPE_CHECKING:
    from fastapi import FastAPI

PAGES = "/ui"
"""Where the pages are; `controller.dashboard` itself is too late to say."""


@dataclass
class LateDashboard:
    """The pages of one application.

    Args:
        imports: of the modules that the pages consist of, in their last stage.
        install: adds the pages to an application.
    """

    imports: DeferredImports
    install: Callable[[FastAPI], None]
    _is_installed: bool = False

    def add_to(self, create: Callable[[Callable[[FastAPI], None]], App]) -> App:
        """The application that `create` returns, with the pages.

        Args:
            create: calls its argument with the application that is to get the pages.
        """
        made: list[FastAPI] = []
        app = create(made.append)

        async def with_pages(
            scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
        ) -> None:
            if not self._is_installed:
                self.imports.request(all_at_once=True)
                await self.imports.wait(REST)
            # Requests that wait at the same time go on one after the other.
            if not self._is_installed:
                self._is_installed = True
                self.install(made[0])
            await app(scope, receive, send)

        return PathSwitch(PAGES, with_pages, app)
