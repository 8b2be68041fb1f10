"""What the embedded API server does a second, how soon a watcher hears of it, and what 10,000 objects cost.

The floor beside it: a bare handler of the same HTTP server that writes one row of SQLite for a POST and reads one for
a GET, asked by the same client. Both run in processes of their own.

python bench/embedded/api.py [--objects N] [--requests N] [--to N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1]))

from machine import describe

from embedded.api.scheme import CONFIG_MAPS, NAMESPACES, ObjectRef
from embedded.registry.registry import Registry
from embedded.storage.sqlite import SqliteStore

TOKEN = "bench"
PATH = "/api/v1/namespaces/default/configmaps"
AT_ONCE = 16


def config(name: str, size: int = 200) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "x" * size}}


def bare(database: str) -> None:
    """The floor's server; prints its address."""
    db = sqlite3.connect(database, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("CREATE TABLE objects (name TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID")

    async def handle(request: web.BaseRequest) -> web.Response:
        if request.method == "POST":
            obj = json.loads(await request.read())
            body = json.dumps(obj).encode()
            db.execute("INSERT INTO objects VALUES (?, ?)", (obj["metadata"]["name"], body))
            return web.Response(status=201, body=body, content_type="application/json")
        name = request.path.rpartition("/")[2]
        body = db.execute("SELECT body FROM objects WHERE name = ?", (name,)).fetchone()[0]
        return web.Response(body=body, content_type="application/json")

    async def serve() -> None:
        runner = web.ServerRunner(web.Server(handle, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"serving http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


@contextmanager
def running(*command: str) -> Iterator[tuple[str, int]]:
    """A server's address and process id."""
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as p:
        assert p.stdout is not None
        try:
            yield p.stdout.readline().split()[1], p.pid
        finally:
            p.terminate()
            p.wait(20)


@contextmanager
def embedded(folder: Path) -> Iterator[tuple[str, int]]:
    folder.mkdir()
    (folder / "tokens").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
    with running(
        "-m", "embedded", "--data-dir", str(folder / "d"), "--port", "0", "--token-auth-file", str(folder / "tokens")
    ) as served:
        yield served


async def rate(count: int, act: Callable[[int], Awaitable[None]]) -> float:
    """Calls a second, AT_ONCE at a time."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await act(number)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return count / (time.perf_counter() - began)


async def create_and_get(url: str, count: int) -> tuple[float, float]:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:

        async def create(number: int) -> None:
            async with session.post(url, json=config(f"c{number}")) as answer:
                assert answer.status == 201
                await answer.read()

        async def get(number: int) -> None:
            async with session.get(f"{url}/c{number}") as answer:
                assert answer.status == 200
                await answer.read()

        return await rate(count, create), await rate(count, get)


async def watched(url: str, count: int) -> list[float]:
    """Milliseconds from sending a change to reading its event."""
    seen: list[float] = []
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}, read_bufsize=1 << 20) as session,
        session.get(url, params={"watch": "true", "fieldSelector": "metadata.name=watched"}) as stream,
    ):
        for number in range(count):
            began = time.perf_counter()
            change = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "data": {"n": str(number)}})
            headers = {"Content-Type": "application/apply-patch+yaml"}
            place = f"{url}/watched?fieldManager=bench"
            async with session.patch(place, data=change, headers=headers) as answer:
                event = await stream.content.readline()
                seen.append((time.perf_counter() - began) * 1000)
                assert json.loads(event)["object"]["data"]["n"] == str(number), await answer.text()
    return seen


async def listed(url: str, count: int) -> float:
    """Seconds for one list of so many objects of 3.5 KB; they are made first."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:

        async def create(number: int) -> None:
            async with session.post(url, json=config(f"big{number}", 3300)) as answer:
                await answer.read()

        await rate(count, create)
        times = []
        for _ in range(3):
            began = time.perf_counter()
            async with session.get(url) as answer:
                await answer.read()
            times.append(time.perf_counter() - began)
        return min(times)


def memory(pid: int) -> float:
    """Resident MB of a process; Linux only."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def readiness(folder: Path) -> tuple[float, float]:
    """Seconds from start to ready, and of the imports alone."""
    starts, imports = [], []
    for number in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import embedded.main"], check=True)
        imports.append(time.perf_counter() - began)
        began = time.perf_counter()
        with embedded(folder / f"r{number}"):
            starts.append(time.perf_counter() - began)
    return statistics.median(starts), statistics.median(imports)


def growth(folder: Path, most: int) -> Iterator[tuple[int, float, float]]:
    """At sizes from 100 on: microseconds to create and to get one object, without HTTP."""
    store = SqliteStore(folder / "growth.db")
    registry = Registry(store)
    registry.create(NAMESPACES, {"metadata": {"name": "default"}})
    made = 0
    for size in (n for n in (100, 1_000, 10_000, 50_000) if n <= most):
        while made < size - 100:
            registry.create(CONFIG_MAPS, config(f"g{made}"), namespace="default")
            made += 1
        began = time.perf_counter()
        for _ in range(100):
            registry.create(CONFIG_MAPS, config(f"g{made}"), namespace="default")
            made += 1
        created = time.perf_counter()
        for number in range(0, made, made // 100):
            registry.get_bytes(ObjectRef(CONFIG_MAPS, "default", f"g{number}"))
        yield size, (created - began) * 1e4, (time.perf_counter() - created) * 1e4
    store.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--to", type=int, default=50_000)
    parser.add_argument("--bare", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bare:
        bare(args.bare)
        return 0
    print(describe())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ready, imports = readiness(folder)
        print(f"ready after {ready:.2f} s, {ready / imports:.2f} times its imports ({imports:.2f} s)")
        with running(__file__, "--bare", str(folder / "bare.db")) as (url, _):
            floor = asyncio.run(create_and_get(url, args.requests))
        with embedded(folder / "rates") as (url, _):
            reached = asyncio.run(create_and_get(url + PATH, args.requests))
            delays = asyncio.run(watched(url + PATH, 300))
        for what, got, least in zip(("create", "get"), reached, floor, strict=True):
            print(f"{what}: {got:,.0f}/s, {got / least:.2f} times a bare handler ({least:,.0f}/s)")
        print(f"a watch event: {statistics.median(delays):.2f} ms p50, {sorted(delays)[-3]:.2f} ms p99")
        with embedded(folder / "list") as (url, pid):
            seconds = asyncio.run(listed(url + PATH, args.objects))
            print(f"a list of {args.objects:,} objects of 3.5 KB: {seconds:.2f} s; memory {memory(pid):.0f} MB")
        for size, created, got in growth(folder, args.to):
            print(f"at {size:,} objects: create {created:.0f} us, get {got:.0f} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
