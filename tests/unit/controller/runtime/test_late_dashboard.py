"""Pages that are added to the API's application once their modules are imported."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from fastapi import FastAPI

from controller.dashboard.session import ROOT
from controller.runtime.late_dashboard import PAGES, LateDashboard
from controller.runtime.path_switch import App


class Site:
    """An API whose answers are noted, and modules of a dashboard that a test imports by `imported.set()`."""

    def __init__(self) -> None:
        self.imported = asyncio.Event()
        self.installed: list[FastAPI] = []
        self.answered: list[str] = []
        self.fastapi = cast(FastAPI, object())

    def app(self) -> App:
        async def wait() -> None:
            await self.imported.wait()

        return LateDashboard(wait, self.installed.append).add_to(self._create)

    def _create(self, extend: Callable[[FastAPI], None]) -> App:
        extend(self.fastapi)

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            self.answered.append(scope["path"])

        return answer


async def get(app: App, path: str) -> None:
    async def nothing(*_: Any) -> None: ...

    await app({"type": "http", "path": path}, nothing, nothing)


def test_pages_are_where_the_dashboard_has_them() -> None:
    assert PAGES == ROOT


async def test_a_page_waits_for_its_modules_and_the_api_does_not() -> None:
    site = Site()
    app = site.app()
    pages = [asyncio.create_task(get(app, path)) for path in ("/ui", "/ui/static/app.css")]
    await get(app, "/api/v1/whoami")
    assert site.answered == ["/api/v1/whoami"]
    assert site.installed == []
    site.imported.set()
    await asyncio.gather(*pages)
    assert site.answered == ["/api/v1/whoami", "/ui", "/ui/static/app.css"]
    assert site.installed == [site.fastapi], "the pages are added once"
