"""The API as its clients feel it: pages of runs, the way of a line to a socket, 200 readers of a step, a large log.

    .venv/bin/python bench/api.py [--readers 200] [--seconds 10]

A real sandbox (`c8s up`) is measured from outside, over its sockets.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from machine import describe

C8S = [sys.executable, "-P", "-m", "workbench"]
LINES_PER_SECOND = 1000
PRINTER = """\
import sys, time
begin = time.monotonic()
for number in range(int(sys.argv[1])):
    wait = begin + number / 1000 - time.monotonic()
    if wait > 0:
        time.sleep(wait)
    print(f"{time.time():.6f} {number:07d} " + "x" * 60, flush=True)
"""


class Api:
    """One sandbox's API."""

    def __init__(self, http: aiohttp.ClientSession, base: str) -> None:
        self.http = http
        self.base = f"{base}/api/v1/namespaces/default"

    async def call(self, method: str, path: str, **more: Any) -> Any:
        async with self.http.request(method, f"{self.base}/{path}", **more) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def start(self, name: str, *commands: str) -> str:
        step = {"name": "s", "image": "busybox:1.36", "commands": list(commands)}
        pipeline = {"version": "v1alpha1", "name": name, "steps": [step]}
        return str((await self.call("POST", "runs", json={"pipeline": pipeline}))["name"])

    async def until(self, run: str, is_so: Callable[[Any], bool], what: str) -> None:
        async with asyncio.timeout(120):
            while not is_so((await self.call("GET", f"runs/{run}"))["status"]):
                await asyncio.sleep(0.05)


async def pages(api: Api, runs: int) -> None:
    """A page of 50 out of many runs."""
    limit = asyncio.Semaphore(8)

    async def one(number: int) -> str:
        async with limit:
            return await api.start(f"p{number % 10}", "true")

    made = await asyncio.gather(*(one(number) for number in range(runs)))
    for each in made:
        await api.until(each, lambda status: status["phase"] == "Succeeded", each)
    for label, query in (("newest first", ""), ("by duration, with text", "&sort=-duration&text=p1")):
        times = []
        for _ in range(300):
            began = time.perf_counter()
            await api.call("GET", f"runs?limit=50{query}")
            times.append(time.perf_counter() - began)
        times = sorted(times[20:])
        p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
        figures = f"p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, ratio {p99 / p50:.1f} (goal 5)"
        print(f"  a page of 50 of {runs} runs, {label:23} {figures}")


async def read_lines(api: Api, run: str, take: Callable[[float, str], None]) -> tuple[int, int]:
    """(lines, messages) of one reader until the run's end; `take` gets the moment of arrival and the line."""
    lines = messages = 0
    url = f"{api.base}/runs/{run}/logs/stream?step=s"
    async with api.http.ws_connect(url, max_msg_size=0) as socket:
        async for message in socket:
            now, found = time.time(), message.json()
            messages += 1
            for frame in found["frames"] if found["type"] == "batch" else [found]:
                if frame["type"] == "missed":
                    raise AssertionError(f"missed {frame}")
                for _, text in frame.get("lines") or () if frame["type"] == "lines" else ():
                    lines += 1
                    take(now, text)
    return lines, messages


async def latency(api: Api, printer: Path, seconds: int) -> None:
    """From a step's write to one client's socket."""
    found: list[float] = []
    run = await api.start("latency", f"exec {sys.executable} -u {printer} {seconds * LINES_PER_SECOND}")
    await read_lines(api, run, lambda now, text: found.append(now - float(text.split()[0])))
    found = sorted(found[LINES_PER_SECOND:])
    p50, p99 = found[len(found) // 2] * 1000, found[len(found) * 99 // 100] * 1000
    print(
        f"  write to socket at {LINES_PER_SECOND} lines/s, one reader    p50 {p50:.1f} ms (30), p99 {p99:.1f} ms (100)"
    )


async def readers(api: Api, printer: Path, count: int, seconds: int, memory: Callable[[], int]) -> None:
    """Many readers of one busy step, in a process of their own: each counts its bytes."""
    run = await api.start("many", f"sleep 3; exec {sys.executable} -u {printer} {seconds * LINES_PER_SECOND}")
    command = [sys.executable, __file__, "--child", str(count), api.base, run]
    environment = {**os.environ, "C8S_BENCH_TOKEN": api.http.headers["Authorization"]}
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=environment)
    await api.until(run, lambda status: status["phase"] == "Running", run)
    await asyncio.sleep(4)
    before = memory()
    out, _ = await child.communicate()
    answer = json.loads(out)
    async with api.http.get(f"{api.base}/runs/{run}/steps/s/logs") as log:
        text = await log.read()
    expected = hashlib.sha256(text).hexdigest()
    whole = sum(each == [len(text), expected] for each in answer["readers"])
    print(
        f"  {count} readers at {LINES_PER_SECOND} lines/s                 "
        f"{whole} of {count} got all {len(text)} bytes; "
        f"p50 {answer['p50'] * 1000:.0f} ms, p99 {answer['p99'] * 1000:.0f} ms; "
        f"the controller grew by {(memory() - before) / 1024:.0f} MiB"
    )


async def child(count: int, base: str, run: str) -> None:
    """The readers' side: bytes and digest of each, and the latencies of the tenth of them."""
    times: list[float] = []
    headers = {"Authorization": os.environ["C8S_BENCH_TOKEN"]}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as http:
        api = Api(http, "")
        api.base = base

        async def one(number: int) -> list[Any]:
            digest, size = hashlib.sha256(), 0

            def take(now: float, text: str) -> None:
                nonlocal size
                data = text.encode() + b"\n"
                digest.update(data)
                size += len(data)
                if number % 20 == 0:
                    times.append(now - float(text.split()[0]))

            await read_lines(api, run, take)
            return [size, digest.hexdigest()]

        found = await asyncio.gather(*(one(number) for number in range(count)))
    times.sort()
    print(json.dumps({"readers": found, "p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100]}))


async def large_log(api: Api) -> None:
    """One historical log, as text and by its link."""
    run = await api.start("large", "head -c 100000000 /dev/urandom | base64 -w 100")
    await api.until(run, lambda status: status["phase"] == "Succeeded", run)
    for label, query in (
        ("as text", ""),
        ("by a signed link", "?redirect=true"),
        ("with timestamps", "?timestamps=true"),
    ):
        began, size = time.perf_counter(), 0
        async with api.http.get(f"{api.base}/runs/{run}/steps/s/logs{query}") as answer:
            async for piece in answer.content.iter_chunked(1 << 20):
                size += len(piece)
        rate = size / 1e6 / (time.perf_counter() - began)
        print(f"  a log of {size / 1e6:.0f} MB, {label:20}          {rate:.0f} MB/s (goal 50)")


def rss_of(url: str) -> Callable[[], int]:
    """KiB of the controller, found by the port it serves."""
    pids = [
        folder
        for folder in Path("/proc").glob("[0-9]*")
        if b"controller" in _cmdline(folder) and url.encode() in (folder / "environ").read_bytes()
    ]

    def rss() -> int:
        lines = (line.split() for each in pids for line in (each / "status").read_text().splitlines())
        return sum(int(words[1]) for words in lines if words[0] == "VmRSS:")

    return rss


def context_of(root: Path) -> dict[str, str]:
    """Where the sandbox's API is, and a token for it."""
    folder = root / "STATE" / "c8s" / "default"
    found = json.loads((folder / "sandbox.json").read_text())
    return {
        "url": f"http://127.0.0.1:{found['api_port']}",
        "token": (folder / "credentials" / "workbench.token").read_text().strip(),
    }


def _cmdline(folder: Path) -> bytes:
    try:
        return (folder / "cmdline").read_bytes()
    except OSError:
        return b""


async def measure(args: argparse.Namespace, root: Path, context: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {context['token']}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=aiohttp.ClientTimeout(600)) as http:
        api = Api(http, context["url"])
        printer = root / "printer.py"
        printer.write_text(PRINTER)
        parts: list[Callable[[], Awaitable[None]]] = [
            lambda: latency(api, printer, args.seconds),
            lambda: readers(api, printer, args.readers, args.seconds, rss_of(str(root))),
            lambda: large_log(api),
            lambda: pages(api, args.runs),
        ]
        for part in parts:
            await part()


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        asyncio.run(child(int(sys.argv[2]), sys.argv[3], sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="c8s-bench-") as home:
        root = Path(home)
        env = {
            **os.environ,
            "C8S_RUNTIME": "process",
            **{f"XDG_{kind}_HOME": str(root / kind) for kind in ("STATE", "CONFIG", "CACHE")},
        }
        print(f"api: {describe()}")
        try:
            subprocess.run([*C8S, "up"], cwd=root, env=env, check=True, capture_output=True)
            asyncio.run(measure(args, root, context_of(root)))
        finally:
            subprocess.run([*C8S, "down"], cwd=root, env=env, check=False, capture_output=True)


if __name__ == "__main__":
    main()
