"""Every route is behind every door, walked from the route table itself: sockets, hosts, origins, sizes of bodies."""

from pathlib import Path

import aiohttp
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute

from controller.api.http.middleware import PROBE_PATHS, RequestPolicy, body_limit
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
async def test_a_socket_opens_for_nobody_else(tmp_path: Path, path: str, headers: dict[str, str], status: int) -> None:
    async with run_api(tmp_path) as there:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await there.http.ws_connect(there.url + path, headers=headers)
        assert caught.value.status == status


async def test_no_route_answers_to_another_host_or_a_page_of_another_origin(tmp_path: Path) -> None:
    async with run_api(tmp_path) as there:
        for method, path, _ in HTTP:
            answer = await there.call(method, path, headers={"Host": "evil.example"})
            assert answer.status == (200 if path in PROBE_PATHS else 421), path
            answer = await there.call(method, path, headers={"Origin": "http://evil.example"})
            assert answer.status == 403, path
            assert "Access-Control-Allow-Origin" not in answer.headers
        assert there.kubernetes.questions == []


async def test_no_route_reads_more_than_its_limit(tmp_path: Path) -> None:
    assert len(WITH_BODY) > 5
    async with run_api(tmp_path) as there:
        for method, path in WITH_BODY:
            limit = body_limit(path, RequestPolicy())
            assert limit is not None, path
            head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ANN}\r\n"
            # Only announced, so that the answer can't be lost to bytes that nobody reads.
            head += f"Content-Type: application/json\r\nContent-Length: {limit + 1}\r\nConnection: close\r\n\r\n"
            async with connect(there) as (reader, writer):
                writer.write(head.encode())
                answer = await read_rest(reader)
            assert answer.startswith(b"HTTP/1.1 413 "), path
            assert b"urn:c8s:problem:too-large" in answer
