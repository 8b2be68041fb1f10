"""Checks that hold for every route, walked from the route table: WebSockets, hosts, origins and body sizes."""

from pathlib import Path

import aiohttp
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute

from controller.api.http.middleware import PROBE_PATHS, body_limit
from tests.unit.controller.api.auth.test_permissions import HTTP, ROUTES, path_of
from tests.unit.controller.api.fakes import ANN, BOB, run_api
from tests.unit.controller.api.http.test_protocol import connect, read_rest

SOCKETS = [path_of(route) for route in ROUTES if isinstance(route, APIWebSocketRoute)]
WITH_BODY = [
    (sorted(route.methods)[0], path_of(route))
    for route in ROUTES
    if isinstance(route, APIRoute) and route.methods and route.body_field is not None
]


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer nobodys"}, 401),
        ({"Authorization": f"Bearer {BOB}"}, 403),
        ({"Authorization": f"Bearer {ANN}", "Origin": "http://evil.example"}, 403),
        ({"Authorization": f"Bearer {ANN}", "Origin": "null"}, 403),
        ({"Authorization": f"Bearer {ANN}", "Host": "evil.example"}, 421),
        ({"Authorization": f"Bearer {ANN}"}, 404),
    ],
)
async def test_websocket_is_refused_without_permission(
    tmp_path: Path, path: str, headers: dict[str, str], status: int
) -> None:
    async with run_api(tmp_path) as api:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await api.http.ws_connect(api.url + path, headers=headers)
        assert caught.value.status == status


async def test_no_route_answers_another_host_or_origin(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        for method, path, _ in HTTP:
            answer = await api.call(method, path, headers={"Host": "evil.example"})
            assert answer.status == (200 if path in PROBE_PATHS else 421), path
            answer = await api.call(method, path, headers={"Origin": "http://evil.example"})
            assert answer.status == 403, path
            assert "Access-Control-Allow-Origin" not in answer.headers
        assert api.kubernetes.questions == []


async def test_no_route_reads_more_than_its_limit(tmp_path: Path) -> None:
    assert len(WITH_BODY) > 5
    async with run_api(tmp_path) as api:
        for method, path in WITH_BODY:
            limit = body_limit(path)
            assert limit is not None, path
            head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ANN}\r\n"
            # Only announced: unread bytes could reset the connection before the answer arrives.
            head += f"Content-Type: application/json\r\nContent-Length: {limit + 1}\r\nConnection: close\r\n\r\n"
            async with connect(api) as (reader, writer):
                writer.write(head.encode())
                answer = await read_rest(reader)
            assert answer.startswith(b"HTTP/1.1 413 "), path
            assert b"urn:c8s:problem:too-large" in answer
