"""A fake controller: serves the REST API from dictionaries that tests change."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, web

from workbench.client.endpoint import Endpoint

TIME = "2026-01-01T00:00:00.000000Z"
NAMESPACE = "/api/v1/namespaces/{ns}"
Key = tuple[str, int, str]


def run_json(name: str = "hello-1", phase: str = "Running", **fields: Any) -> dict[str, Any]:
    status = {"phase": phase, "steps": [], "summary": {}, **fields.pop("status", {})}
    return {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "number": int(name.rpartition("-")[2]),
        "pipeline": name.rpartition("-")[0],
        "createdAt": TIME,
        "params": {},
        "cancelRequested": False,
        **fields,
        "status": status,
    }


def step_json(name: str, phase: str = "Succeeded", **fields: Any) -> dict[str, Any]:
    attempt = {
        "number": 1,
        "phase": phase if phase != "Skipped" else "Failed",
        "times": {
            "created": "2026-01-01T00:00:00.100000Z",
            "scheduled": "2026-01-01T00:00:00.200000Z",
            "running": "2026-01-01T00:00:00.500000Z",
            "finished": "2026-01-01T00:00:02.500000Z",
        },
        "containers": ["step"],
    }
    started = phase not in ("Pending", "Skipped")
    return {
        "name": name,
        "slug": fields.pop("slug", name),
        "dependsOn": [],
        "phase": phase,
        "attempts": fields.pop("attempts", [attempt] if started else []),
        **fields,
    }


@dataclass
class FakeApi:
    token: str = "secret-token"
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: dict[str, bytes] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    logs: dict[tuple[str, Key], list[str]] = field(default_factory=dict)
    ended: set[tuple[str, Key]] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    archives: dict[tuple[str, str], bytes] = field(default_factory=dict)
    artifact_paths: list[str] = field(default_factory=lambda: ["out.txt"])
    stored_digest: str | None = None
    """The SHA-256 that archives had when they were stored, if it is another."""
    events: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    oldest: int = 0
    """Versions before this one are forgotten: watching from there gives `restart`."""
    version: int = 0
    calls: list[tuple[str, str]] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    refuse: Callable[[web.Request], web.Response | None] = lambda _: None
    hangs: Callable[[web.Request], bool] = lambda _: False
    """Whether a request is never answered."""
    on_create: Callable[[str], Awaitable[None]] | None = None
    on_cancel: Callable[[str], Awaitable[None]] | None = None
    images: str = "ignored"
    cut_after: int | None = None
    """Frames after which the next log stream breaks off."""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _streams: set[asyncio.Transport] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    # What a test does

    async def publish(self, run: dict[str, Any]) -> None:
        kind = "modified" if run["name"] in self.runs else "added"
        await self._record(kind, run)

    async def delete(self, name: str) -> None:
        await self._record("deleted", self.runs[name])
        del self.runs[name]

    async def _record(self, kind: str, run: dict[str, Any]) -> None:
        async with self._changed:
            self.version += 1
            stored = {**run, "resourceVersion": str(self.version)}
            self.runs[run["name"]] = stored
            self.events.append((self.version, kind, stored))
            self._changed.notify_all()

    async def write(self, run: str, step: str, *lines: str, attempt: int = 1, container: str = "step") -> None:
        async with self._changed:
            self.logs.setdefault((run, (step, attempt, container)), []).extend(lines)
            self._changed.notify_all()

    async def end(self, run: str, step: str, attempt: int = 1, container: str = "step") -> None:
        async with self._changed:
            self.logs.setdefault((run, (step, attempt, container)), [])
            self.ended.add((run, (step, attempt, container)))
            self._changed.notify_all()

    async def finish_logs(self, run: str) -> None:
        async with self._changed:
            self.done.add(run)
            self._changed.notify_all()

    def break_streams(self) -> None:
        """Every open stream loses its connection."""
        for transport in list(self._streams):
            transport.abort()

    # What the API answers

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=100 * 1024**2)
        app.router.add_get("/api/v1/cluster", self._cluster)
        app.router.add_post("/api/v1/lint", self._lint)
        routes: Sequence[tuple[str, str, Any]] = (
            ("GET", "/sources/{digest}", self._head_source),
            ("PUT", "/sources/{digest}", self._put_source),
            ("POST", "/runs", self._create),
            ("GET", "/runs", self._list),
            ("GET", "/runs/{run}", self._get),
            ("POST", "/runs/{run}/cancel", self._cancel),
            ("DELETE", "/runs/{run}", self._delete),
            ("GET", "/watch/runs", self._watch),
            ("GET", "/runs/{run}/logs/stream", self._stream),
            ("GET", "/runs/{run}/steps/{step}/logs", self._text),
            ("GET", "/runs/{run}/artifacts", self._artifacts),
            ("GET", "/runs/{run}/artifacts/{step}", self._archive),
            ("GET", "/secrets", self._secrets),
            ("PUT", "/secrets/{name}", self._put_secret),
            ("DELETE", "/secrets/{name}", self._delete_secret),
        )
        for method, path, handler in routes:
            app.router.add_route(method, NAMESPACE + path, handler)
            if path == "/sources/{digest}" and method == "GET":
                app.router.add_route("HEAD", NAMESPACE + path, handler)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        async with self._changed:
            self.calls.append((request.method, request.path))
            self._changed.notify_all()
        if self.hangs(request):
            await asyncio.Event().wait()
        if (refused := self.refuse(request)) is not None:
            return refused
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return problem(401, "the token is not known")
        return await handler(request)  # type: ignore[no-any-return]

    async def _cluster(self, request: web.Request) -> web.Response:
        names = ["default"]
        return web.json_response(
            {"runtime": "process://0.1", "images": self.images, "version": "v1.36", "namespaces": names, "new": 1}
        )

    async def _lint(self, request: web.Request) -> web.Response:
        body = await request.json()
        found = [
            {"line": 1, "column": 2, "path": "x", "severity": "error", "code": "c", "message": "bad", "hint": None}
        ]
        answer: dict[str, Any] = {"problems": found if "bad" in body["text"] else []}
        if "event" in body:
            answer["wouldRun"] = {"runs": False, "why": "no such branch"}
        return web.json_response(answer)

    async def _head_source(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if request.match_info["digest"] in self.sources else 404)

    async def _put_source(self, request: web.Request) -> web.Response:
        assert request.content_length is not None
        data = await request.read()
        self.sources[request.match_info["digest"]] = data
        return web.json_response({"digest": request.match_info["digest"], "size": len(data)}, status=201)

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        key = request.headers["Idempotency-Key"]
        if key in self.keys:
            return web.json_response(self.runs[self.keys[key]], status=201)
        name = f"{body['pipeline']['name']}-{len(self.runs) + 1}"
        self.created.append(body)
        self.keys[key] = name
        await self.publish(run_json(name, "Pending", branch=body.get("branch"), commit=body.get("commit")))
        if self.on_create is not None:
            self._spawn(self.on_create(name))
        return web.json_response(self.runs[name], status=201)

    def _spawn(self, work: Awaitable[None]) -> None:
        self._tasks.add(asyncio.ensure_future(work))

    async def _list(self, request: web.Request) -> web.Response:
        runs = sorted(self.runs.values(), key=lambda run: -int(run["number"]))
        if phase := request.query.get("phase"):
            runs = [run for run in runs if run["status"]["phase"] == phase]
        start, limit = int(request.query.get("continue", 0)), int(request.query.get("limit", 50))
        page: dict[str, Any] = {"items": runs[start : start + limit], "resourceVersion": str(self.version)}
        if start + limit < len(runs):
            page["continue"] = str(start + limit)
        return web.json_response(page)

    async def _get(self, request: web.Request) -> web.Response:
        run = self.runs.get(request.match_info["run"])
        return web.json_response(run) if run else problem(404, f"there is no run {request.match_info['run']}")

    async def _cancel(self, request: web.Request) -> web.Response:
        name = request.match_info["run"]
        if self.runs[name]["status"]["phase"] in ("Succeeded", "Failed", "Cancelled"):
            return problem(409, "the run has ended")
        await self.publish({**self.runs[name], "cancelRequested": True})
        if self.on_cancel is not None:
            self._spawn(self.on_cancel(name))
        return web.json_response(self.runs[name], status=202)

    async def _delete(self, request: web.Request) -> web.Response:
        await self.delete(request.match_info["run"])
        return web.Response(status=204)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        since = int(request.headers.get("Last-Event-ID") or request.query["resourceVersion"])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if since < self.oldest:
            await response.write(b"id:\nevent: restart\ndata: {}\n\n")
            return response
        run_name = request.query.get("run")
        async with self._opened(request):
            while True:
                for version, kind, run in list(self.events):
                    if version > since and run_name in (None, run["name"]):
                        data = json.dumps(run)
                        await response.write(f"id: {version}\nevent: {kind}\ndata: {data}\n\n".encode())
                    since = max(since, version)
                async with self._changed:
                    await self._changed.wait_for(lambda since=since: self.version > since)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        run = request.match_info["run"]
        steps = request.query.getall("step", [])
        sent: dict[Key, int] = {}
        for text in request.query.getall("after", []):
            step, attempt, container, line = text.rsplit(":", 3)
            sent[(step, int(attempt), container)] = int(line)
        ended: set[Key] = set()
        cut, self.cut_after, frames = self.cut_after, None, 0
        async with self._opened(request):
            while True:
                for frame in self._frames(run, steps, sent, ended):
                    await socket.send_str(json.dumps(frame))
                    frames += 1
                    if frames == cut:
                        assert request.transport is not None
                        request.transport.abort()
                        return socket
                if run in self.done:
                    await socket.send_str(json.dumps({"type": "done"}))
                    await socket.close(code=WSCloseCode.OK)
                    return socket
                state = (self._size(), len(self.ended), len(self.done))
                async with self._changed:
                    await self._changed.wait_for(
                        lambda state=state: (self._size(), len(self.ended), len(self.done)) != state
                    )

    def _size(self) -> int:
        return sum(map(len, self.logs.values()))

    def _frames(self, run: str, steps: list[str], sent: dict[Key, int], ended: set[Key]) -> list[dict[str, Any]]:
        frames: list[dict[str, Any]] = []
        for (owner, key), lines in self.logs.items():
            if owner != run or (steps and key[0] not in steps):
                continue
            head = {"step": key[0], "attempt": key[1], "container": key[2]}
            if len(lines) > sent.get(key, 0):
                first = sent.get(key, 0)
                fresh = [[TIME, text] for text in lines[first:]]
                frames.append({"type": "lines", **head, "first": first + 1, "lines": fresh})
                sent[key] = len(lines)
            if (run, key) in self.ended and key not in ended:
                frames.append({"type": "end", **head, "lines": len(lines)})
                ended.add(key)
        return frames

    @asynccontextmanager
    async def _opened(self, request: web.Request) -> AsyncIterator[None]:
        assert request.transport is not None
        transport = request.transport
        self._streams.add(transport)
        try:
            yield
        finally:
            self._streams.discard(transport)

    async def _text(self, request: web.Request) -> web.Response:
        key = (
            request.match_info["step"],
            int(request.query.get("attempt", 1)),
            request.query.get("container", "step"),
        )
        lines = self.logs.get((request.match_info["run"], key))
        if lines is None:
            return problem(404, "there is no such log")
        if "tail" in request.query:
            lines = lines[len(lines) - int(request.query["tail"]) :]
        return web.Response(body="".join(line + "\n" for line in lines).encode(errors="surrogateescape"))

    async def _artifacts(self, request: web.Request) -> web.Response:
        names = [step for run, step in self.archives if run == request.match_info["run"]]
        names = [name for name in names if request.query.get("step") in (None, name)]
        files = [(name, path) for name in names for path in self.artifact_paths]
        start, limit = int(request.query.get("continue", 0)), int(request.query.get("limit", len(files)))
        items = [{"step": name, "path": path, "size": 3, "sha256": "ab"} for name, path in files]
        more = {"continue": str(start + limit)} if start + limit < len(files) else {}
        return web.json_response({"items": items[start : start + limit], **more})

    async def _archive(self, request: web.Request) -> web.Response:
        data = self.archives.get((request.match_info["run"], request.match_info["step"]))
        if data is None:
            return problem(404, "the step has left nothing")
        stored = self.stored_digest or hashlib.sha256(data).hexdigest()
        return web.Response(body=data, headers={"ETag": f'"{stored}"'})

    async def _secrets(self, request: web.Request) -> web.Response:
        return web.json_response({"items": [{"name": n, "keys": sorted(d)} for n, d in self.secrets.items()]})

    async def _put_secret(self, request: web.Request) -> web.Response:
        name, data = request.match_info["name"], (await request.json())["data"]
        keys = self.secrets.setdefault(name, {})
        keys.update(data)
        warnings = [f"the value of {key} is short" for key in data]
        return web.json_response({"name": name, "keys": sorted(keys), "warnings": warnings})

    async def _delete_secret(self, request: web.Request) -> web.Response:
        del self.secrets[request.match_info["name"]]
        return web.Response(status=204)


def problem(status: int, detail: str, **more: Any) -> web.Response:
    body = {"type": "about:blank", "title": "no", "status": status, "detail": detail, **more}
    return web.json_response(body, status=status, content_type="application/problem+json")


@asynccontextmanager
async def serving(api: FakeApi, folder: Path) -> AsyncIterator[Endpoint]:
    """Serve the API on a free port; yields its endpoint."""
    runner = web.AppRunner(api.app(), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    token = folder / "token"
    token.write_text(api.token + "\n")
    host, port = runner.addresses[0][:2]
    try:
        yield Endpoint(f"http://{host}:{port}", token)
    finally:
        for task in api._tasks:
            task.cancel()
        await asyncio.gather(*api._tasks, return_exceptions=True)
        await runner.cleanup()
