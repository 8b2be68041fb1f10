"""The doorway: which requests reach a route at all, and how what goes wrong is answered."""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from controller.api.http.middleware import Entrance, RequestPolicy, check_request, host_name
from controller.api.http.problems import ApiProblemError

Inner = Callable[[Any, Any, Any], Awaitable[None]]


def scope(path: str = "/x", kind: str = "http", **headers: str) -> dict[str, Any]:
    pairs = {"host": "localhost:1", **headers}
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in pairs.items()]
    return {"type": kind, "path": path, "method": "GET", "headers": raw}


def refusal_slug(**headers: str) -> str | None:
    found = check_request(
        scope(**headers), RequestPolicy(frozenset({"c8s.example.org"}), frozenset({"https://dash.example.org"}))
    )
    return None if found is None else found.slug


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "127.0.0.1:5", "[::1]:5", "c8s.example.org", "c8s.example.org."]
)
def test_its_own_names_are_let_in(host: str) -> None:
    assert refusal_slug(host=host) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil@localhost", "[::2]"],
)
def test_a_name_that_was_pointed_at_loopback_is_not(host: str) -> None:
    assert refusal_slug(host=host) == "host-not-allowed"


def test_two_host_headers_are_not_a_name() -> None:
    twice = scope()
    twice["headers"].append((b"host", b"localhost"))
    refusal = check_request(twice, RequestPolicy())
    assert refusal is not None
    assert refusal.slug == "host-not-allowed"


def test_probes_come_under_any_name() -> None:
    assert check_request(scope("/healthz", host="10.0.0.7:8080"), RequestPolicy()) is None


@pytest.mark.parametrize("origin", ["http://localhost:1", "https://dash.example.org"])
def test_its_own_and_configured_origins_may_call(origin: str) -> None:
    assert refusal_slug(origin=origin) is None


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:2", "http://localhost", "https://localhost:1.evil"],
)
def test_other_pages_may_not(origin: str) -> None:
    assert refusal_slug(origin=origin) == "origin-not-allowed"


def test_a_host_keeps_the_brackets_of_its_address() -> None:
    assert host_name("[::1]:8080") == "[::1]"


async def exchange(inner: Inner, asked: dict[str, Any], bodies: list[bytes] | None = None) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    parts = list(bodies or [b""])

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await Entrance(inner, RequestPolicy(json_limit=10, new_id=lambda: "id-1"))(asked, receive, send)
    return sent


async def ok(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"fine"})


async def test_every_answer_carries_the_security_headers_and_its_id() -> None:
    start = (await exchange(ok, scope()))[0]
    headers = dict(start["headers"])
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-request-id"] == b"id-1"


@pytest.mark.parametrize("bodies", [[b"x" * 11], [b"x" * 6, b"x" * 6]])
async def test_a_body_that_is_too_large_ends_as_a_problem(bodies: list[bytes]) -> None:
    sent = await exchange(ok, scope(), bodies)
    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"])["type"] == "urn:c8s:problem:too-large"


async def test_a_body_that_is_announced_too_large_is_not_read() -> None:
    assert (await exchange(ok, scope(content_length="11")))[0]["status"] == 413


async def test_uploads_count_for_themselves() -> None:
    path = "/api/v1/namespaces/a/sources/sha256:0"
    assert (await exchange(ok, scope(path), [b"x" * 100]))[0]["status"] == 200


async def test_an_unforeseen_error_says_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("the password is hunter2")

    with caplog.at_level(logging.ERROR):
        sent = await exchange(broken, scope())
    document = json.loads(sent[1]["body"])
    assert (sent[0]["status"], document["instance"]) == (500, "id-1")
    assert "hunter2" not in str(sent)


async def test_an_error_after_the_answer_began_cuts_the_connection() -> None:
    async def half(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("late")

    with pytest.raises(ConnectionAbortedError):
        await exchange(half, scope())


async def test_a_refused_socket_is_answered_with_a_problem() -> None:
    sent = await exchange(ok, scope(kind="websocket", origin="http://evil.example"))
    assert [message["type"] for message in sent] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert sent[0]["status"] == 403


def test_a_problem_must_be_a_listed_one() -> None:
    with pytest.raises(KeyError):
        _ = ApiProblemError("no-such", "x").kind


@pytest.mark.parametrize("left", [ClientDisconnect(), WebSocketDisconnect(1006)])
async def test_a_caller_that_leaves_early_is_no_error(left: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def leaving(scope: Any, receive: Any, send: Any) -> None:
        raise left

    assert await exchange(leaving, scope()) == []
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
