"""A fake of the agent API, with objects that a test provides."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiohttp import web

TOKEN = "very-secret-token"


class Workspaces:
    """The routes for the workspaces of failed steps."""

    def __init__(self) -> None:
        self.policy: dict[str, Any] = {"wanted": True, "limit": 10**9}
        self.sent: dict[str, Any] = {}
        self.reports: list[dict[str, Any]] = []

    def add_to(self, app: web.Application) -> None:
        route = "/api/v1/agent/workspaces/build/1"
        app.router.add_get(route, self._ask)
        app.router.add_post(route, self._upload)
        app.router.add_put(f"{route}/manifest", self._tell)

    async def _ask(self, _: web.Request) -> web.Response:
        return web.json_response(self.policy)

    async def _upload(self, request: web.Request) -> web.Response:
        self.sent = await request.json()
        return web.json_response({"url": "/objects/workspace"})

    async def _tell(self, request: web.Request) -> web.Response:
        self.reports.append(await request.json())
        return web.Response(status=204)


class FakeAgentApi:
    """The agent API, with objects that a test provides."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}
        self.uploads: dict[str, Any] = {}
        self.manifests: dict[str, Any] = {}
        self.caches: dict[str, str] = {}
        """Key -> digest of the archive."""
        self.cache_limit = 10**9
        self.fail = 0
        self.url = ""
        self.reports: list[dict[str, Any]] = []
        self.report_status = 204
        self.workspaces = Workspaces()
        self.test_reports = b""
        self.test_report_status = 200
        self.failed_tests: list[dict[str, str]] = []

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**30)
        self.workspaces.add_to(app)
        app.router.add_get("/api/v1/agent/tests/failed", self._failed_tests)
        app.router.add_put("/api/v1/agent/tests/build/1", self._take_tests)
        app.router.add_get("/api/v1/agent/{what:.+}", self._link)
        app.router.add_post("/api/v1/agent/artifacts/{slug}/{attempt}", self._upload)
        app.router.add_put("/api/v1/agent/artifacts/{slug}/{attempt}/manifest", self._manifest)
        app.router.add_post("/api/v1/agent/caches/lookup", self._cache)
        app.router.add_post("/api/v1/agent/caches", self._keep)
        app.router.add_put("/api/v1/agent/caches/manifest", self._kept)
        app.router.add_put("/api/v1/agent/reports/build/1", self._report)
        app.router.add_get("/objects/{what:.+}", self._get)
        app.router.add_put("/objects/{what:.+}", self._put)
        return app

    def serve(self, what: str, data: bytes, sha256: str | None = None) -> None:
        self.objects[what] = data
        self.digests[what] = sha256 or hashlib.sha256(data).hexdigest()

    async def _link(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"title": "no", "detail": "not your run"}, status=401)
        what = request.match_info["what"]
        if what not in self.objects:
            return web.json_response({"title": "Not found", "detail": f"no {what}"}, status=404)
        url = f"/objects/{what}?expires=1&signature=a%2Bb"
        url = url if what == "source" else self.url + url
        return web.json_response({"url": url, "sha256": self.digests[what], "size": len(self.objects[what])})

    async def _get(self, request: web.Request) -> web.StreamResponse:
        assert "Authorization" not in request.headers
        assert request.query["signature"] == "a+b"
        if self.fail:
            self.fail -= 1
            return web.Response(status=503)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(self.objects[request.match_info["what"]])
        return response

    async def _put(self, request: web.Request) -> web.Response:
        if self.fail:
            self.fail -= 1
            return web.Response(status=503)
        self.objects[request.match_info["what"]] = await request.read()
        return web.Response(status=201)

    async def _cache(self, request: web.Request) -> web.Response:
        key = (await request.json())["key"]
        if key not in self.caches:
            return web.json_response({"title": "Not found"}, status=404)
        sha256 = self.caches[key]
        url = f"/objects/cache-{sha256}?signature=a%2Bb"
        return web.json_response({"url": url, "sha256": sha256, "size": len(self.objects[f"cache-{sha256}"])})

    async def _keep(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["size"] > self.cache_limit:
            return web.json_response({"title": "Too large", "detail": "too much"}, status=413)
        return web.json_response({"url": f"/objects/cache-{body['sha256']}"})

    async def _kept(self, request: web.Request) -> web.Response:
        body = await request.json()
        assert len(self.objects[f"cache-{body['sha256']}"]) == body["size"]
        self.caches[body["key"]] = body["sha256"]
        return web.Response(status=204)

    async def _upload(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        self.uploads[slug] = await request.json()
        return web.json_response({"url": f"/objects/upload-{slug}"})

    async def _report(self, request: web.Request) -> web.Response:
        self.reports.append(await request.json())
        return web.Response(status=self.report_status)

    async def _take_tests(self, request: web.Request) -> web.Response:
        self.test_reports = await request.read()
        counts = {"total": 2, "failed": 1, "skipped": 0, "warnings": 1, "warning": "a.xml:1: broken"}
        return web.json_response(counts, status=self.test_report_status)

    async def _failed_tests(self, _: web.Request) -> web.Response:
        return web.json_response({"tests": self.failed_tests})

    async def _manifest(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        assert f"upload-{slug}" in self.objects
        self.manifests[slug] = await request.json()
        return web.Response(status=204)


Api = TypeVar("Api", bound=FakeAgentApi)


@asynccontextmanager
async def serving(api: Api) -> AsyncIterator[Api]:
    """Serve a fake on a port of its own; it learns its URL."""
    runner = web.AppRunner(api.app(), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    api.url = f"http://{host}:{port}"
    try:
        yield api
    finally:
        await runner.cleanup()
