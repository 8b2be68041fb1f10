"""The cluster screen."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.support.tui.driver import SMALL, WIDE, sees, shown, until
from tests.support.tui.fakes import NOW, FakeWorkbench, hello
from workbench.client import (
    ComponentHealth,
    Health,
    Pod,
    Quota,
)
from workbench.client.errors import ServerError
from workbench.tui.screens.cluster import ClusterScreen

HEALTH = Health(
    (
        ComponentHealth("watch of runs", True, None),
        ComponentHealth("store", False, "can't write: \x1b]2;x\x07the disk is full"),
    ),
    3,
    95.0,
    (Quota("team", "pods", "9", "10"), Quota("team", "requests.cpu", "500m", "4")),
    (Pod("shop-1-build-1", "build", "shop-1", "Running", "node-1", NOW),),
)


@dataclass(frozen=True)
class Status:
    name: str = "default"
    state: str = "unhealthy"
    temporary: bool = True
    components: tuple[object, ...] = ()


async def status() -> Status:
    return Status()


@pytest.mark.parametrize("size", [SMALL, WIDE])
async def test_cluster_screen_shows_health(size: tuple[int, int]) -> None:
    app = FakeWorkbench([hello(1)], sandbox=status)
    app.controller.health_report = HEALTH
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, sees(app, "hello-1"))
        await pilot.press("C")
        await until(pilot, sees(app, "✗ default", "unhealthy", "✓ watch of runs", "✗ store", "the disk is full"))
        assert "3 runs, the first for 1m35s" in shown(app)
        assert "9 of 10 (90 %)" in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ClusterScreen))


async def test_cluster_screen_shows_request_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = FakeWorkbench([hello(1)], sandbox=status)

    async def refuse() -> Health:
        raise ServerError("it is out of order")

    monkeypatch.setattr(app.controller, "health", refuse)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, sees(app, "hello-1"))
        await pilot.press("C")
        await until(pilot, sees(app, "unhealthy", "it is out of order"))
