"""With concurrent writers, a list and its watches miss no event and repeat none."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.contract.embedded.conftest import Api

_PATH = "/api/v1/namespaces/default/configmaps"
_WRITERS, _ROUNDS = 8, 15


async def _write(session: aiohttp.ClientSession, url: str, writer: int) -> None:
    for number in range(_ROUNDS):
        name = f"w{writer}-{number}"
        async with session.post(url, json={"metadata": {"name": name, "labels": {"stream": "1"}}}) as answer:
            assert answer.status == 201
        merge = {"Content-Type": "application/merge-patch+json"}
        async with session.patch(f"{url}/{name}", data=b'{"data":{"k":"v"}}', headers=merge) as answer:
            assert answer.status == 200
        if number % 2:
            async with session.delete(f"{url}/{name}") as answer:
                assert answer.status == 200


async def _follow(session: aiohttp.ClientSession, url: str, state: dict[str, str], done: asyncio.Event) -> list[int]:
    """List, then watch in many short streams; the revisions of the events in order of arrival."""
    async with session.get(url, params={"labelSelector": "stream"}) as answer:
        listed = await answer.json()
    version = listed["metadata"]["resourceVersion"]
    state.update({i["metadata"]["name"]: i["metadata"]["resourceVersion"] for i in listed["items"]})
    seen: list[int] = []
    last_round = False
    while not last_round:
        last_round = done.is_set()
        query = {"watch": "true", "labelSelector": "stream", "resourceVersion": version, "timeoutSeconds": "1"}
        async with session.get(url, params=query) as answer:
            async for line in answer.content:
                event: dict[str, Any] = json.loads(line)
                metadata = event["object"]["metadata"]
                version = metadata["resourceVersion"]
                seen.append(int(version))
                if event["type"] == "DELETED":
                    del state[metadata["name"]]
                else:
                    state[metadata["name"]] = version
    return seen


async def test_a_list_and_its_watches_miss_and_repeat_nothing(api: Api) -> None:
    url = api.cluster.url + _PATH
    state: dict[str, str] = {}
    done = asyncio.Event()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {api.cluster.token}"}) as session:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            follower = group.create_task(_follow(session, url, state, done))
            async with asyncio.TaskGroup() as writers:
                for writer in range(_WRITERS):
                    writers.create_task(_write(session, url, writer))
            done.set()
        async with session.get(url, params={"labelSelector": "stream"}) as answer:
            items = (await answer.json())["items"]
    seen = follower.result()
    assert seen == sorted(set(seen))
    assert state == {i["metadata"]["name"]: i["metadata"]["resourceVersion"] for i in items}
    assert len(items) == _WRITERS * (_ROUNDS - _ROUNDS // 2)


async def test_of_concurrent_updates_only_one_succeeds(api: Api) -> None:
    url = api.cluster.url + _PATH
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {api.cluster.token}"}) as session:
        async with session.post(url, json={"metadata": {"name": "raced"}}) as answer:
            created = await answer.json()

        async def put(number: int) -> int:
            async with session.put(f"{url}/raced", json={**created, "data": {"n": str(number)}}) as answer:
                await answer.read()
                return answer.status

        statuses = await asyncio.gather(*(put(number) for number in range(10)))
    assert sorted(statuses) == [200] + [409] * 9


async def test_a_client_that_never_reads_does_not_delay_writes(api: Api) -> None:
    url = api.cluster.url + _PATH
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {api.cluster.token}"}) as session,
        session.get(url, params={"watch": "true"}),
        asyncio.timeout(60),
    ):
        for number in range(30):
            body = {"metadata": {"name": f"fat-{number}"}, "data": {"k": "x" * 500_000}}
            async with session.post(url, json=body) as answer:
                assert answer.status == 201


@pytest.mark.parametrize("query", ["limit=x", "continue=%00", "labelSelector=%28", "fieldSelector=x%3Dy"])
def test_an_invalid_query_is_a_bad_request(api: Api, query: str) -> None:
    assert api("GET", f"{_PATH}?{query}")[0] == 400
