"""The client against a server: what is asked, and what becomes of every kind of answer."""

from __future__ import annotations

import pytest
from aiohttp import web

from controller.kube import (
    JOBS,
    NODES,
    PODS,
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    GoneError,
    KubeClient,
    KubeError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from controller.kube.client import ConnectionConfig, next_page_size
from tests.unit.controller.kube.server import event, list_response, pod, serve_client, status, stream_response


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (401, "Unauthorized", UnauthorizedError),
        (403, "Forbidden", ForbiddenError),
        (404, "NotFound", NotFoundError),
        (409, "AlreadyExists", AlreadyExistsError),
        (409, "Conflict", ConflictError),
        (410, "Expired", GoneError),
        (422, "Invalid", ApiError),
        (500, "InternalError", ApiError),
    ],
)
async def test_errors_are_distinguished_and_name_the_request(code: int, reason: str, kind: type[ApiError]) -> None:
    async def answer(_: web.Request) -> web.Response:
        return status(code, reason, "the words of the server")

    async with serve_client(answer) as client:
        with pytest.raises(kind) as caught:
            await client.get(PODS, "x", "a")
    assert (caught.value.status, caught.value.reason) == (code, reason)
    assert str(caught.value) == "GET /api/v1/namespaces/a/pods/x: the words of the server"


async def test_an_answer_that_is_not_the_apis_is_an_error_like_others() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="<html>a proxy</html>", status=502 if "bad" in request.path else 200)

    async with serve_client(answer) as client:
        with pytest.raises(UnreachableError, match="not JSON"):
            await client.get(PODS, "x", "a")
        with pytest.raises(ApiError, match="a proxy"):
            await client.get(PODS, "bad", "a")


async def test_nobody_there_is_unreachable_and_names_the_place() -> None:
    async with KubeClient(ConnectionConfig("http://127.0.0.1:9", lambda: None)) as client:
        with pytest.raises(UnreachableError, match=r"no response from http://127\.0\.0\.1:9"):
            await client.version()


async def test_a_client_that_is_not_open_says_so() -> None:
    with pytest.raises(KubeError, match="async with"):
        await KubeClient(ConnectionConfig("http://127.0.0.1:9", lambda: None)).version()


async def test_requests_go_where_kubernetes_serves_them() -> None:
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.method, request.path_qs, request.headers.get("Content-Type"), await request.text()))
        assert request.headers["Authorization"] == "Bearer secret"
        return web.json_response({})

    async with serve_client(answer, token="secret") as client:
        await client.create(JOBS, {"metadata": {"name": "j"}}, "a")
        await client.patch(PODS, "p", {"spec": {}}, namespace="a", patch_type="strategic")
        await client.patch(JOBS, "j", [], namespace="a", subresource="status", patch_type="json")
        await client.delete(PODS, "p", namespace="a", uid="u1")
        await client.get(NODES, "n")
    assert [(method, path, kind) for method, path, kind, _ in seen] == [
        ("POST", "/apis/batch/v1/namespaces/a/jobs", "application/json"),
        ("PATCH", "/api/v1/namespaces/a/pods/p", "application/strategic-merge-patch+json"),
        ("PATCH", "/apis/batch/v1/namespaces/a/jobs/j/status", "application/json-patch+json"),
        ("DELETE", "/api/v1/namespaces/a/pods/p", "application/json"),
        ("GET", "/api/v1/nodes/n", None),
    ]
    assert '"kind":"Job"' in seen[0][3]
    assert '"preconditions":{"uid":"u1"}' in seen[3][3]


async def test_a_list_is_read_page_by_page() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.query["labelSelector"] == "x=y"
        if "continue" in request.query:
            return list_response(9, pod("b", 2))
        metadata = {"resourceVersion": "9", "continue": "more"}
        return web.json_response({"items": [pod("a", 1)], "metadata": metadata})

    async with serve_client(answer) as client:
        found = await client.list(PODS, label_selector="x=y")
    assert [item["metadata"]["name"] for item in found["items"]] == ["a", "b"]


async def test_the_size_of_a_page_follows_that_of_its_objects() -> None:
    limits: list[int] = []

    async def answer(request: web.Request) -> web.Response:
        start, limit = int(request.query.get("continue", 0)), int(request.query["limit"])
        limits.append(limit)
        end = min(start + limit, 200)
        # The first 100 are small, the others of 300 KB.
        items = [pod(f"p{n}", n + 1, data="x" * (300_000 if n >= 100 else 10)) for n in range(start, end)]
        more = {"continue": str(end)} if end < 200 else {}
        return web.json_response({"items": items, "metadata": {"resourceVersion": "9", **more}})

    async with serve_client(answer) as client:
        found = await client.list(PODS)
    assert len(found["items"]) == 200
    assert limits[:4] == [10, 20, 40, 80]
    assert max(limits[4:]) <= 12


@pytest.mark.parametrize(
    ("size", "received", "following"), [(10, 1_000, 20), (400, 1_000, 500), (20, 40 << 20, 1), (1, 9 << 20, 1)]
)
def test_pages_grow_and_shrink_within_bounds(size: int, received: int, following: int) -> None:
    assert next_page_size(size, 500, received) == following


async def test_a_watch_gives_events_of_any_size_however_they_are_cut() -> None:
    big = event("ADDED", pod("big", 3, data="x" * 5_000_000))
    small = event("MODIFIED", pod("small", 4))
    opened = []

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.query["allowWatchBookmarks"] == "true"
        return await stream_response(request, big[:10], big[10:] + small[:5], small[5:] + b"\n")

    async with serve_client(answer) as client:
        events = [
            (each.type, each.object["metadata"]["name"])
            async for each in client.watch(PODS, resource_version="1", on_open=lambda: opened.append(True))
        ]
    assert events == [("ADDED", "big"), ("MODIFIED", "small")]
    assert opened == [True]


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_watch_from_too_long_ago_is_gone(at_once: bool) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if at_once:
            return status(410, "Expired")
        return await stream_response(request, event("ERROR", {"code": 410, "reason": "Expired", "message": "too old"}))

    async with serve_client(answer) as client:
        with pytest.raises(GoneError):
            async for _ in client.watch(PODS, resource_version="1"):
                pass


async def test_a_watch_that_breaks_off_is_unreachable() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await stream_response(request, event("ADDED", pod("a", 2)), cut=True)

    async with serve_client(answer) as client:
        with pytest.raises(UnreachableError, match="interrupted"):
            async for _ in client.watch(PODS, resource_version="1"):
                pass


async def test_a_watch_that_falls_silent_is_unreachable() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await stream_response(request, hold=True)

    async with serve_client(answer) as client:
        with pytest.raises(UnreachableError):
            async for _ in client.watch(PODS, resource_version="1", read_timeout=0.05):
                pass


async def test_a_log_comes_as_it_is_written() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.path == "/api/v1/namespaces/a/pods/p/log"
        assert dict(request.query) == {
            "container": "step",
            "follow": "true",
            "timestamps": "true",
            "sinceTime": "2026-01-01T00:00:00Z",
        }
        return await stream_response(request, b"one\n", b"\xff\x00two")

    async with serve_client(answer) as client:
        chunks = [chunk async for chunk in client.stream_log("a", "p", "step", since_time="2026-01-01T00:00:00Z")]
    assert b"".join(chunks) == b"one\n\xff\x00two"


async def test_a_log_of_a_container_that_waits_is_a_bad_request() -> None:
    async def answer(_: web.Request) -> web.Response:
        return status(400, "BadRequest", "waiting to start")

    async with serve_client(answer) as client:
        with pytest.raises(ApiError, match="waiting to start") as caught:
            async for _ in client.stream_log("a", "p", "step"):
                pass
    assert caught.value.status == 400
