"""How much memory the controller needs for ended runs: 10,000 of them with definitions of 100 KB.

A process reads them as the controller does at its start, from an API server in another process that makes them up, and
has loaded everything that API and operator consist of. Printed is its memory afterwards, and at most.

    .venv/bin/python bench/run_controller/ended_runs.py [--runs N] [--definition-kib N] [--steps N]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import random
import resource
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from aiohttp import web

from bench.machine import describe
from controller.kube import PIPELINE_RUNS, Informer, KubeClient
from controller.kube.client import ConnectionConfig
from controller.run_types.summary import RUNS_PAGE_SIZE, summarize_run
from controller.runtime.garbage_collection import begin_collections

Json = dict[str, Any]
_TIME = "2026-01-01T12:00:00.123456Z"
_LIMIT_MIB = 300


def ended_run(number: int, definition_kib: int, steps: int) -> Json:
    """A run with a script that hardly compresses, as the API server returns it."""
    random.seed(number)
    script = random.randbytes(definition_kib * 512).hex()
    name = f"shop-{number}"
    return {
        "apiVersion": "c8s.dev/v1alpha1",
        "kind": "PipelineRun",
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"{number:032x}",
            "resourceVersion": str(number),
            "creationTimestamp": _TIME,
            "labels": {"c8s.dev/pipeline": "shop", "c8s.dev/run-number": str(number)},
        },
        "spec": {
            "pipeline": {"name": "shop", "steps": [{"name": "a", "image": "busybox:1", "commands": [script]}]},
            "branch": "main",
            "commit": f"{number:040x}",
            "triggeredBy": "ann",
        },
        "status": {
            "phase": "Succeeded",
            "message": f"{steps} of {steps} steps succeeded",
            "startTime": _TIME,
            "completionTime": _TIME,
            "steps": [_ended_step(name, number, at) for at in range(steps)],
        },
    }


def _ended_step(run: str, number: int, at: int) -> Json:
    times = dict.fromkeys(("queued", "created", "scheduled", "fetching", "running", "finished"), _TIME)
    attempt = {
        "number": 1,
        "jobName": f"{run}--step-{at}-1",
        "podName": f"{run}--step-{at}-1-{number % 99999:05}",
        "phase": "Succeeded",
        "reason": "Succeeded",
        "exitCode": 0,
        "times": times,
        "containers": ["agent", "step"],
        "log": {"lines": number, "bytes": 80 * number, "sha256": f"{number * at:064x}", "archived": True},
    }
    return {
        "name": f"step-{at}",
        "slug": f"step-{at}",
        "dependsOn": [],
        "allowFailure": False,
        "phase": "Succeeded",
        "reason": "Succeeded",
        "startTime": _TIME,
        "completionTime": _TIME,
        "inputs": f"{number + at:064x}",
        "attempts": [attempt],
    }


def serve(port: Connection, runs: int, definition_kib: int, steps: int) -> None:
    """The API server: lists the runs page by page; a watch shows nothing."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            response = web.StreamResponse()
            await response.prepare(request)
            await asyncio.Event().wait()
        start = int(request.query.get("continue") or 0)
        end = min(start + int(request.query["limit"]), runs)
        items = [ended_run(number + 1, definition_kib, steps) for number in range(start, end)]
        more = {"continue": str(end)} if end < runs else {}
        return web.json_response({"items": items, "metadata": {"resourceVersion": str(runs + 1), **more}})

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


async def measure(port: int, whole: bool) -> tuple[int, float, float, float]:
    """(runs, seconds, longest pause of the event loop, most processor time in one) of an informer's first list."""
    longest = computed = 0.0

    async def watch_loop() -> None:
        nonlocal longest, computed
        while True:
            before, used = time.monotonic(), time.thread_time()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before - 0.01)
            computed = max(computed, time.thread_time() - used)

    async with KubeClient(ConnectionConfig(f"http://127.0.0.1:{port}", lambda: None)) as client:
        transform = None if whole else summarize_run
        informer = Informer(client, PIPELINE_RUNS, page_size=RUNS_PAGE_SIZE, transform=transform)
        tasks = [asyncio.create_task(informer.run()), asyncio.create_task(watch_loop())]
        began = time.monotonic()
        await informer.wait_for_sync()
        took = time.monotonic() - began
        gc.collect()
        count = sum(1 for _ in informer.list())
        print(f"memory afterwards  {memory_mib():6.0f} MiB")
        for task in tasks:
            task.cancel()
        return count, took, longest, computed


def memory_mib() -> float:
    """The resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--definition-kib", type=int, default=100)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--whole", action="store_true", help="hold runs whole, to compare")
    options = parser.parse_args()
    print(describe())
    ours, theirs = multiprocessing.Pipe()
    arguments = (theirs, options.runs, options.definition_kib, options.steps)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=arguments, daemon=True)
    server.start()
    import controller.runtime.manager  # noqa: F401 - what API and operator consist of

    begin_collections()

    print(f"memory before      {memory_mib():6.0f} MiB")
    count, took, longest, computed = asyncio.run(measure(ours.recv(), options.whole))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory at most     {most:6.0f} MiB, and it may be {_LIMIT_MIB}")
    print(f"{count} runs of {options.definition_kib} KiB with {options.steps} steps in {took:.1f} s")
    print(f"longest pause of the event loop {longest * 1000:.0f} ms; it computed for at most {computed * 1000:.0f} ms")
    server.terminate()
    return int(most > _LIMIT_MIB)


if __name__ == "__main__":
    sys.exit(main())
