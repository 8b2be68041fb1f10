"""Pages that are added to the API's application once they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from fastapi import FastAPI

from controller.dashboard.session import ROOT
from controller.runtime.deferred_imports import DeferredImports
from controller.runtime.late_dashboard import PAGES, LateDashboard
from controller.runtime.late_modules import API, OPERATOR, REST
from controller.runtime.path_switch import App


class Site:
    """An API whose answers are noted, and a dashboard without modules."""

    def __init__(self) -> None:
        self.imports = DeferredImports({API: (), OPERATOR: (), REST: ()})
        self.installed: list[FastAPI] = []
        self.answered: list[str] = []
        self.fastapi = cast(FastAPI, object())

    def app(self) -> App:
        return LateDashboard(self.imports, self.installed.append).add_to(self._create)

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


async def test_a_page_waits_for_its_modules_and_the_api_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.runtime.deferred_imports.begin_collections", lambda: None)
    site = Site()
    app = site.app()
    pages = [asyncio.create_task(get(app, path)) for path in ("/ui", "/ui/static/app.css")]
    await get(app, "/api/v1/whoami")
    assert site.answered == ["/api/v1/whoami"]
    assert site.installed == []
    await asyncio.wait_for(site.imports.run(), 60)
    await asyncio.gather(*pages)
    assert site.answered == ["/api/v1/whoami", "/ui", "/ui/static/app.css"]
    assert site.installed == [site.fastapi], "the pages are added once"
