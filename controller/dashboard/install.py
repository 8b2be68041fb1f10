"""Adds the dashboard to the API's application."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter, FastAPI

from controller.api.state import AppState
from controller.dashboard.auth_proxy import AuthProxy
from controller.dashboard.live.run_feed import RunFeeds
from controller.dashboard.pages import artifacts, assets, cluster, lists, playback, run, sign_in, step, tests
from controller.dashboard.session import Sessions
from controller.dashboard.views.history import Histories
from controller.settings import AuthProxySettings

ROUTERS: Sequence[APIRouter] = (
    sign_in.router, assets.router, lists.router, run.router, playback.router, step.router, tests.router,
    artifacts.router, cluster.router,
)  # fmt: skip


@dataclass
class Dashboard:
    """What the pages share."""

    sessions: Sessions
    proxy: AuthProxy | None = None
    feeds: RunFeeds = field(default_factory=RunFeeds)
    histories: Histories = field(default_factory=Histories)


def install_dashboard(app: FastAPI, state: AppState, key: bytes, proxy: AuthProxySettings | None = None) -> None:
    """Adds the pages.

    Args:
        key: the controller's, from which that of the sessions' cookies is derived.
        proxy: whose headers are believed; None for no one's.
    """
    sessions = Sessions(key, state.wall_clock)
    app.state.dashboard = Dashboard(sessions, AuthProxy.of(proxy) if proxy is not None else None)
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
