"""Which requests reach a route at all, and how errors are answered."""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from controller.api.http.middleware import host_name, with_middleware
from controller.api.http.problems import ApiProblemError

Inner = Callable[[Any, Any, Any], Awaitable[None]]
HOSTS = frozenset({"c8s.example.org"})
ORIGINS = frozenset({"https://dash.example.org"})


def scope(path: str = "/x", kind: str = "http", **headers: str) -> dict[str, Any]:
    pairs = {"host": "localhost:1", **headers}
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in pairs.items()]
    return {"type": kind, "path": path, "method": "GET", "headers": raw}


async def exchange(
    inner: Inner,
    request: dict[str, Any],
    bodies: list[bytes] | None = None,
    observe: Callable[[str, str, int, float], None] = lambda method, route, status, seconds: None,
) -> list[dict[str, Any]]:
    """The messages with which the middleware and the inner app answer."""
    sent: list[dict[str, Any]] = []
    parts = list(bodies or [b""])

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    app = with_middleware(
        inner, hosts=HOSTS, origins=ORIGINS, new_request_id=lambda: "id-1", observe=observe, max_json_bytes=10
    )
    await app(request, receive, send)
    return sent


async def ok(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


async def problem(request: dict[str, Any]) -> str | None:
    """The name of the problem with which a request is refused; None when it reaches the app."""
    sent = await exchange(ok, request)
    if sent[0]["status"] == 200:
        return None
    return str(json.loads(sent[1]["body"])["type"]).removeprefix("urn:c8s:problem:")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "127.0.0.1:5", "[::1]:5", "c8s.example.org", "c8s.example.org."]
)
async def test_own_host_names_are_trusted(host: str) -> None:
    assert await problem(scope(host=host)) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil@localhost", "[::2]"],
)
async def test_other_host_names_are_refused(host: str) -> None:
    """A name that was pointed at loopback (DNS rebinding) is one of these."""
    assert await problem(scope(host=host)) == "host-not-allowed"


async def test_two_host_headers_are_refused() -> None:
    twice = scope()
    twice["headers"].append((b"host", b"localhost"))
    assert await problem(twice) == "host-not-allowed"


async def test_probes_are_answered_under_any_host_name() -> None:
    assert await problem(scope("/healthz", host="10.0.0.7:8080")) is None


@pytest.mark.parametrize("origin", ["http://localhost:1", "https://dash.example.org"])
async def test_pages_of_own_and_configured_origins_may_call(origin: str) -> None:
    assert await problem(scope(origin=origin)) is None


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:2", "http://localhost", "https://localhost:1.evil"],
)
async def test_pages_of_other_origins_are_refused(origin: str) -> None:
    assert await problem(scope(origin=origin)) == "origin-not-allowed"


def test_host_name_keeps_the_brackets_of_an_address() -> None:
    assert host_name("[::1]:8080") == "[::1]"


async def test_every_response_has_security_headers_and_its_id() -> None:
    start = (await exchange(ok, scope()))[0]
    headers = dict(start["headers"])
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-request-id"] == b"id-1"


async def test_refusals_have_the_headers_too() -> None:
    start = (await exchange(ok, scope(host="evil.example")))[0]
    headers = dict(start["headers"])
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"x-request-id"] == b"id-1"


async def test_refusals_and_errors_are_counted() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("bug")

    seen: list[tuple[str, str, int]] = []

    def observe(method: str, route: str, status: int, seconds: float) -> None:
        seen.append((method, route, status))

    await exchange(ok, scope(host="evil.example"), observe=observe)
    await exchange(broken, scope(), observe=observe)
    assert seen == [("GET", "unmatched", 421), ("GET", "unmatched", 500)]


@pytest.mark.parametrize("bodies", [[b"x" * 11], [b"x" * 6, b"x" * 6]])
async def test_too_large_body_is_answered_with_a_problem(bodies: list[bytes]) -> None:
    sent = await exchange(ok, scope(), bodies)
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"])["type"] == "urn:c8s:problem:too-large"


async def test_body_announced_too_large_is_not_read() -> None:
    assert await problem(scope(content_length="11")) == "too-large"


async def test_uploads_are_not_limited_here() -> None:
    path = "/api/v1/namespaces/a/sources/sha256:0"
    assert (await exchange(ok, scope(path), [b"x" * 100]))[0]["status"] == 200


async def test_unexpected_error_does_not_reach_the_client(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("the password is hunter2")

    with caplog.at_level(logging.ERROR):
        sent = await exchange(broken, scope())
    document = json.loads(sent[1]["body"])
    assert sent[0]["status"] == 500
    assert document["instance"] == "id-1"
    assert "hunter2" not in str(sent)


async def test_error_within_a_response_cuts_the_connection() -> None:
    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("late")

    with pytest.raises(ConnectionAbortedError):
        await exchange(half, scope())


async def test_refused_websocket_is_answered_with_a_problem() -> None:
    sent = await exchange(ok, scope(kind="websocket", origin="http://evil.example"))
    assert [message["type"] for message in sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert sent[0]["status"] == 403


async def test_error_within_a_websocket_closes_it() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        raise RuntimeError("late")

    sent = await exchange(broken, scope(kind="websocket"))
    assert sent[-1] == {"type": "websocket.close", "code": 1011}


def test_problem_type_must_be_a_listed_one() -> None:
    with pytest.raises(KeyError):
        _ = ApiProblemError("no-such", "x").kind


@pytest.mark.parametrize("left", [ClientDisconnect(), WebSocketDisconnect(1006)])
async def test_early_disconnect_is_not_an_error(left: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def leaving(scope: Any, receive: Any, send: Any) -> None:
        raise left

    assert await exchange(leaving, scope()) == []
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
