"""A browser without scripts, as far as the tests need one: it keeps cookies, follows no redirects, and reads forms."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from fastapi import FastAPI

from controller import labels
from controller.api.state import AppState
from controller.dashboard.install import Dashboard, install_dashboard
from controller.dashboard.pages.sign_in import ENTRY_PATH
from controller.kube import PIPELINE_RUNS
from controller.settings import AuthProxySettings
from tests.unit.controller.api.fakes import ANN, ApiResponse, ApiServer, run_api

RUNS = "/ui/namespaces/a/runs"
KEY = b"the key of the controller that tests have"


@dataclass
class Browser:
    """One browser at an API, or at what is in front of it (`url`)."""

    api: ApiServer
    cookies: dict[str, str] = field(default_factory=dict)
    dashboard: Any = None
    url: str = ""

    async def get(self, path: str, **headers: str) -> ApiResponse:
        return await self.request("GET", path, headers)

    async def post(self, path: str, form: Mapping[str, str], **headers: str) -> ApiResponse:
        return await self.request("POST", path, headers, data=dict(form))

    async def sign_in(self, token: str = ANN) -> None:
        """With a ticket, as `c8s open` does."""
        ticket = await self.api.call("POST", "/api/v1/tickets", token=token, json={"path": ENTRY_PATH})
        entered = await self.get(f"{ENTRY_PATH}?ticket={ticket.json['ticket']}&to={RUNS}")
        assert entered.status == 200, entered.body

    async def form_token(self, path: str = RUNS) -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', (await self.get(path)).body.decode())
        assert found is not None
        return found[1]

    async def request(self, method: str, path: str, headers: Mapping[str, str], **more: Any) -> ApiResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        # A session of its own: the shared one would keep cookies, too.
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.request(
                method, (self.url or self.api.url) + path, headers=sent, allow_redirects=False, **more
            ) as answer,
        ):
            for name, morsel in answer.cookies.items():
                self.cookies[name] = morsel.value
                if not morsel.value or morsel["max-age"] == "0":
                    del self.cookies[name]
            return ApiResponse(answer.status, dict(answer.headers), await answer.read())


@asynccontextmanager
async def run_dashboard(
    folder: Path, proxy: AuthProxySettings | None = None, **settings: Any
) -> AsyncIterator[Browser]:
    """The dashboard on a loopback port, and a browser that is not signed in."""
    installed: list[Dashboard] = []

    def install(app: FastAPI, state: AppState) -> None:
        install_dashboard(app, state, KEY, proxy)
        installed.append(app.state.dashboard)

    async with run_api(folder, extend=install, **settings) as api:
        yield Browser(api, dashboard=installed[0])


async def create_run(
    api: ApiServer, name: str = "ci-1", steps: list[dict[str, Any]] | None = None, spec: Any = None, **status: Any
) -> None:
    """A run in the namespace a."""
    body = {
        "metadata": {"name": name, "namespace": "a", "labels": {labels.RUN_NUMBER: name.rpartition("-")[2]}},
        "spec": {"pipeline": {"name": "ci"}, "branch": "main", **(spec or {})},
    }
    await api.kubernetes.create(PIPELINE_RUNS, body, "a")
    found = steps if steps is not None else [step("build")]
    api.kubernetes.status("a", name, **{"phase": "Running", "steps": found, **status})


def step(name: str, phase: str = "Running", slug: str = "", **more: Any) -> dict[str, Any]:
    """The status of a step with one attempt."""
    return {
        "name": name,
        "slug": slug or name,
        "phase": phase,
        "reason": phase,
        "dependsOn": [],
        "allowFailure": False,
        "attempts": [{"number": 1, "phase": phase, "reason": phase, "jobName": "j", "times": {}}],
        **more,
    }
