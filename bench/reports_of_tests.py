"""Reports of tests and statistics: 10,000 tests from the store to the screen, their history, and 1,000 runs.

.venv/bin/python bench/reports_of_tests.py

The controller and the cluster are processes of their own, as in a sandbox; the workbench runs without a terminal.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import aiohttp  # noqa: E402

from controller.statistics.store import PipelineKey  # noqa: E402
from controller.test_results.compile import compile_reports  # noqa: E402
from controller.test_results.history import Header, encode_outcomes, outcomes_key, outcomes_prefix  # noqa: E402
from controller.worker import LimitedWorker  # noqa: E402
from tests.integration.api.conftest import ADMIN, Sandbox  # noqa: E402
from tests.support.tui.fakes import FakeWorkbench, run, step  # noqa: E402
from tests.support.waiting import wait_until  # noqa: E402
from workbench.client.client import Client  # noqa: E402
from workbench.client.endpoint import Endpoint  # noqa: E402

_TESTS, _FAILED, _TIMES = 10_000, 100, 7
_PIPELINES, _RUNS = 20, 50
_DETAILS = "\n".join(f"E   line {number} of a difference" for number in range(40))


def junit() -> bytes:
    """A report of 10,000 tests, of which 100 have failed."""
    cases = []
    for number in range(_TESTS):
        name = f'classname="shop.tests.test_module_{number // 50}" name="test_number_{number}" time="0.0{number % 10}"'
        if number % (_TESTS // _FAILED):
            cases.append(f"<testcase {name}/>")
        else:
            cases.append(
                f'<testcase {name}><failure message="assert 1 == 2">{_DETAILS}\nm.py:7: Error</failure></testcase>'
            )
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>".encode()


async def timed(
    name: str,
    call: Callable[[], Awaitable[object]],
    goal: str = "",
    after: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Print the median and the slowest of several calls, after one that does not count.

    Processor time is that of this process: on a busy machine it says more than the time on the clock.

    Args:
        after: what is done after each call, and not measured.
    """
    took, computed = [], []
    for _ in range(_TIMES + 1):
        begin, before = time.perf_counter(), time.process_time()
        await call()
        took.append(1000 * (time.perf_counter() - begin))
        computed.append(1000 * (time.process_time() - before))
        if after is not None:
            await after()
    took, computed = took[1:], computed[1:]
    wall = f"median {statistics.median(took):.0f} ms, slowest {max(took):.0f} ms{goal}"
    print(f"{name}: {wall}; processor time here {statistics.median(computed):.0f} ms", flush=True)


async def compiling(report: bytes) -> None:
    """Reading a report: in this process, and in one of its own as the API does."""
    header = json.dumps({"path": "junit.xml", "format": "junit", "size": len(report)}).encode() + b"\n"
    body, secrets = gzip.compress(header + report, 1), frozenset({b"a-secret-value-1", b"another one"})

    async def here() -> None:
        compile_reports(body, secrets)

    await timed(f"a report of {_TESTS:,} tests ({len(report) / 1e6:.1f} MB) read and masked", here)
    worker = LimitedWorker()
    await timed("the same in a process of its own", lambda: worker.run(compile_reports, body, secrets))


async def measure(sandbox: Sandbox, client: Client, http: aiohttp.ClientSession, folder: Path) -> None:
    """A run with the report, and what the workbench needs to show it."""
    report = folder / "junit.xml"
    report.write_bytes(junit())
    steps = [
        {
            "name": "test",
            "image": "x",
            "commands": [f"cp {report} junit.xml; exit 1"],
            "reports": {"junit": ["junit.xml"]},
        }
    ]
    headers = {"Authorization": f"Bearer {ADMIN}"}
    base = f"{sandbox.url}/api/v1/namespaces/default"
    async with http.post(
        f"{base}/runs", json={"pipeline": {"name": "shop", "steps": steps}}, headers=headers
    ) as answer:
        name = (await answer.json())["name"]
    while not (found := await client.run(name)).ended:
        await asyncio.sleep(0.2)
    async with http.get(f"{sandbox.cluster_url}/api/v1/namespaces/default", headers=headers) as answer:
        uid = str((await answer.json())["metadata"]["uid"])
    add_history(folder / "store", uid)
    await timed(f"{_TESTS:,} tests listed over HTTP and decoded", lambda: client.list_tests(name))
    await timed("their history over 50 runs, with what is flaky", lambda: client.read_test_history(name, "test"))
    shown = run("shop-1", "Failed", [step("test", (), "Failed")])
    app = FakeWorkbench([shown])
    app.controller.list_tests = lambda *_, **__: client.list_tests(name)  # type: ignore[method-assign]
    loaded = asyncio.Event()

    async def history(*_: object) -> object:
        found = await client.read_test_history(name, "test")
        loaded.set()
        return found

    async def leave() -> None:
        # The history comes after the list.
        await loaded.wait()
        loaded.clear()
        await asyncio.sleep(0.1)
        app.pop_screen()

    app.controller.read_test_history = history  # type: ignore[method-assign, assignment]
    async with app.run_test(size=(140, 45)) as pilot:
        await pilot.pause(0.5)
        await timed("key to the list of tests on the screen", lambda: show(app), ", goal 300 ms", leave)
    assert found.phase == "Failed"
    add_statistics(folder / "store", uid)
    runs = _PIPELINES * _RUNS
    await timed(f"statistics of {_PIPELINES} pipelines, {runs:,} runs", client.list_statistics, ", goal 100 ms")
    await timed("statistics of one of them, with 20 steps", lambda: client.statistics("pipeline-7"))


async def show(app: FakeWorkbench) -> None:
    """Open the tests of the run, and wait until they are drawn."""
    from workbench.tui.widgets.tests_list import TestsList

    app.simulate_key("T")
    while not (found := app.screen.query(TestsList)) or not found.first().count:
        await asyncio.sleep(0.005)
    drawn = asyncio.Event()
    app.call_after_refresh(drawn.set)
    await drawn.wait()


def add_history(store: Path, uid: str) -> None:
    """The outcomes of 49 earlier runs, as the first one has stored its own."""
    prefix = outcomes_prefix("default", uid, "shop")
    (stored,) = (store / prefix).iterdir()
    import zlib

    plain = zlib.decompress(stored.read_bytes())
    packed = plain.partition(b"\n")[2]
    created = datetime.fromtimestamp(int(stored.name.partition("-")[0]), UTC)
    for number in range(1, 50):
        time = (created - timedelta(seconds=number)).isoformat()
        run = {"metadata": {"name": f"shop-{number}", "creationTimestamp": time}}
        header = Header(f"shop-{number}", number, f"uid-{number}", "test", "test", 1, inputs=f"k{number // 2}")
        (store / outcomes_key(prefix, run, header)).write_bytes(encode_outcomes(header, packed))


def add_statistics(store: Path, uid: str) -> None:
    """Histories of 20 pipelines, each of 50 runs of 20 steps."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for pipeline in range(_PIPELINES):
        key = PipelineKey("default", uid, f"pipeline-{pipeline}")
        records = []
        for number in range(_RUNS):
            steps = [
                {"n": f"step-{each}", "p": "Succeeded", "s": 1.5 + each, "q": 0.2, "a": 100, "l": 5000}
                for each in range(20)
            ]
            ended = (begin + timedelta(hours=number)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
            about = {"uid": f"{pipeline}-{number}", "run": f"p-{number}", "number": number, "commit": "c" * 40}
            about |= {"phase": "Succeeded", "branch": "main", "created": ended, "ended": ended, "s": 30.0}
            records.append(about | {"steps": steps})
        path = store / key.history
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(json.dumps({"version": 1, "runs": records}).encode()))


async def main() -> None:
    from bench.machine import describe

    print(describe())
    print(f"load average {os.getloadavg()[0]:.1f}")
    await compiling(junit())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sandbox = Sandbox(folder)
        try:
            sandbox.start_cluster()
            sandbox.start_controller()
            wait_until(sandbox.ready, 60)
            token = folder / "token"
            token.write_text(ADMIN)
            async with aiohttp.ClientSession() as http, Client(Endpoint(sandbox.url, token)) as client:
                await measure(sandbox, client, http, folder)
        finally:
            sandbox.stop()
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    asyncio.run(main())
