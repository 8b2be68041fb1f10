"""The dashboard as browsers load it: a run of 200 steps, a log of a million lines, 200 readers of one busy run.

    .venv/bin/python bench/dashboard.py [--readers 200] [--lines 1000000]

A real sandbox (`c8s up`) is measured from outside. Times of a shared machine are long: beside them is the processor
time that the controller spent, with everything else that it did meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
from api import Api, context_of
from machine import describe, spread

C8S = [sys.executable, "-P", "-m", "workbench"]
TICKS = os.sysconf("SC_CLK_TCK")
STEPS, WIDTH = 200, 20
PAGES = "/ui/namespaces/default/runs"


def processor_of(pid: str) -> Callable[[], float]:
    """Seconds of processor time of a process."""

    def spent() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    return spent


def memory_of(pid: str) -> float:
    """MiB of memory of a process."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return next(int(words[1]) for words in lines if words[0] == "VmRSS:") / 1024


def controller_of(root: Path) -> str:
    """The process id of the sandbox's controller."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"controller" in words and any(str(root).encode() in word for word in words) and b"--role" in words:
            return folder.name
    raise RuntimeError("the controller was not found")


async def signed_in(http: aiohttp.ClientSession, url: str, token: str) -> None:
    """Gives the session a cookie."""
    async with http.post(f"{url}/ui/sign-in", data={"token": token}, allow_redirects=False) as answer:
        assert answer.status == 303, answer.status


async def load(http: aiohttp.ClientSession, address: str) -> tuple[float, int]:
    """Seconds and bytes of a page, uncompressed."""
    began = time.perf_counter()
    async with http.get(address) as answer:
        answer.raise_for_status()
        return time.perf_counter() - began, len(await answer.read())


async def pages(http: aiohttp.ClientSession, address: str, spent: Callable[[], float], label: str, goal: str) -> None:
    """Loads a page again and again."""
    await load(http, address)
    before, found = spent(), [await load(http, address) for _ in range(30)]
    own = (spent() - before) / len(found)
    times = [seconds for seconds, _ in found]
    print(f"  {label:34} {spread(times)}, processor {own * 1000:.0f} ms, {found[0][1] / 1000:.0f} kB (goal {goal})")


def wide_pipeline(name: str, command: str) -> dict[str, object]:
    """200 steps in layers of 20, each of which depends on two of the layer before."""
    steps = []
    for number in range(STEPS):
        layer, at = divmod(number, WIDTH)
        needs = [f"s{(layer - 1) * WIDTH + other % WIDTH:03}" for other in (at, at + 1)] if layer else []
        steps.append({"name": f"s{number:03}", "image": "busybox:1.36", "commands": [command], "dependsOn": needs})
    return {"version": "v1alpha1", "name": name, "steps": steps, "maxParallel": 4}


async def create(api: Api, pipeline: dict[str, object]) -> str:
    return str((await api.call("POST", "runs", json={"pipeline": pipeline}))["name"])


async def readers(
    api: Api, http: aiohttp.ClientSession, url: str, run: str, count: int, spent: Callable[[], float]
) -> None:
    """Many browsers on one run until its end: what they receive, and what they cost the controller."""
    sizes: list[int] = []
    # A page without steps is loaded again when they are there.
    await api.until(run, lambda status: status["phase"] == "Running", run)

    async def one() -> None:
        size = 0
        async with http.get(f"{url}{PAGES}/{run}/events", headers={"Accept": "text/event-stream"}) as answer:
            answer.raise_for_status()
            async for piece in answer.content.iter_any():
                size += len(piece)
        sizes.append(size)
        assert b"event: reload" in piece, "the stream ended before the run"

    began, before = time.monotonic(), spent()
    await asyncio.gather(*(one() for _ in range(count)))
    seconds, own = time.monotonic() - began, spent() - before
    received = f"{statistics.median(sizes) / 1000:.0f} kB each" if sizes else "-"
    share = f"{own / seconds:.2f} cores ({own:.1f} s of {seconds:.0f} s)"
    print(f"  {count:3} browsers on one busy run            {share}, {received}")


async def alone(api: Api, run: str, spent: Callable[[], float]) -> float:
    """The same run without a browser; cores of the controller."""
    began, before = time.monotonic(), spent()
    await api.until(run, lambda status: status["phase"] in ("Succeeded", "Failed"), run)
    own, seconds = spent() - before, time.monotonic() - began
    print(f"  no browser on such a run               {own / seconds:.2f} cores ({own:.1f} s of {seconds:.0f} s)")
    return own / seconds


async def measure(args: argparse.Namespace, root: Path) -> None:
    pid = controller_of(root)
    context, spent = context_of(root), processor_of(pid)
    url, headers = context["url"], {"Authorization": f"Bearer {context['token']}"}
    cookies = aiohttp.CookieJar(unsafe=True)
    limits = {"connector": aiohttp.TCPConnector(limit=0), "timeout": aiohttp.ClientTimeout(1200)}
    async with (
        aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(1200)) as caller,
        aiohttp.ClientSession(cookie_jar=cookies, **limits) as http,  # type: ignore[arg-type]
    ):
        api = Api(caller, url)
        await signed_in(http, url, context["token"])
        text = f"seq -f 'line %.0f of a log that is as long as it is dull, with some more text' {args.lines}"
        log = await api.start("long", f"{text}; echo 'Error: boom'; seq 300; exit 1")
        wide = await create(api, wide_pipeline("wide", "true"))
        await api.until(log, lambda status: status["phase"] == "Failed", log)
        await api.until(wide, lambda status: status["phase"] == "Succeeded", wide)
        await pages(http, f"{url}{PAGES}/{wide}", spent, f"a run of {STEPS} steps", "100 ms, 150 kB")
        await pages(http, f"{url}{PAGES}/{log}/steps/s", spent, f"the failing line of {args.lines:,}", "300 ms")
        await pages(http, f"{url}{PAGES}/{log}/steps/s?line={args.lines // 2}", spent, "a line in its middle", "300 ms")
        await pages(http, f"{url}{PAGES}", spent, "the list of runs", "100 ms")
        base = await alone(api, await create(api, wide_pipeline("busy", "sleep 0.3")), spent)
        await readers(api, http, url, await create(api, wide_pipeline("busy", "sleep 0.3")), args.readers, spent)
        print(f"  (goal: at most half a core more than {base:.2f})")
        print(f"  memory of the controller               {memory_of(pid):.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--lines", type=int, default=1_000_000)
    args = parser.parse_args()
    print(f"The dashboard: {describe()}")
    with tempfile.TemporaryDirectory(prefix="c8s-bench-") as folder:
        root = Path(folder)
        homes = {f"XDG_{kind}_HOME": str(root / kind) for kind in ("STATE", "CONFIG", "CACHE", "DATA")}
        environment = {**os.environ, **homes, "C8S_RUNTIME": "process"}
        subprocess.run([*C8S, "up"], env=environment, check=True, stdout=subprocess.DEVNULL)
        try:
            asyncio.run(measure(args, root))
        finally:
            subprocess.run([*C8S, "down"], env=environment, check=False, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
