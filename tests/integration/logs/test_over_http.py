"""Logs through the real Kubernetes client, over HTTP, from a server that breaks connections."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from controller.kube import KubeClient
from controller.kube.client import ConnectionConfig
from controller.logs import Lines, LogCollector, LogReader, RunEnd, Stream, StreamEnd
from controller.storage import DirectoryStore
from tests.support.waiting import LONGEST

STREAM = Stream("ns", "run-1", "build", 1, "step")


class Kubelet:
    """Serves one pod's log; the first connections are cut after so many bytes."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines
        self.cuts: list[int] = []
        self.waiting = 2
        self.since: list[str | None] = []
        self.more = asyncio.Event()
        self.ended = False

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/v1/namespaces/ns/pods/pod/log", self._log)
        app.router.add_get("/api/v1/namespaces/ns/pods/pod", self._pod)
        return app

    async def _pod(self, _: web.Request) -> web.Response:
        state = {"terminated": {"exitCode": 1}} if self.ended else {"running": {}}
        status = {"containerStatuses": [{"name": "step", "state": state}]}
        return web.json_response({"metadata": {"uid": "pod-uid"}, "status": status})

    async def _log(self, request: web.Request) -> web.StreamResponse:
        if self.waiting:
            self.waiting -= 1
            body = {"kind": "Status", "reason": "BadRequest", "message": "ContainerCreating", "code": 400}
            return web.json_response(body, status=400)
        since = request.query.get("sinceTime")
        self.since.append(since)
        response = web.StreamResponse()
        await response.prepare(request)
        begin = (
            0 if since is None else next(n for n, line in enumerate(self.lines) if line[:19].decode() + "Z" >= since)
        )
        sent = 0
        while True:
            for line in self.lines[begin:]:
                await response.write(line)
                sent += len(line)
                begin += 1
                if self.cuts and sent > self.cuts[0]:
                    self.cuts.pop(0)
                    assert request.transport is not None
                    request.transport.close()
                    return response
            if self.ended:
                return response
            await self.more.wait()
            self.more.clear()


def line(number: int) -> bytes:
    second, rest = divmod(number * 37, 1000)
    return b"2026-01-01T00:00:%02d.%03d000000Z line %d\n" % (second % 60, rest, number)


@asynccontextmanager
async def keeping(
    kubelet: Kubelet, folder: Path
) -> AsyncIterator[tuple[LogCollector, LogReader, asyncio.Queue[Stream]]]:
    runner = web.AppRunner(kubelet.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    store = DirectoryStore(folder, b"key", "http://localhost")
    archived: asyncio.Queue[Stream] = asyncio.Queue()
    async with KubeClient(ConnectionConfig(f"http://{host}:{port}", token=lambda: "token")) as client:
        keeper = LogCollector(client, store, time.monotonic, archived.put_nowait)
        running = asyncio.create_task(keeper.run())
        try:
            yield keeper, LogReader(keeper.hub, store), archived
        finally:
            running.cancel()
            await asyncio.wait({running})
            await runner.cleanup()


async def test_a_log_survives_broken_connections_whole(tmp_path: Path) -> None:
    kubelet = Kubelet([line(number) for number in range(1500)])
    kubelet.cuts = [10_000, 1, 20_000]
    kubelet.ended = True
    async with asyncio.timeout(LONGEST), keeping(kubelet, tmp_path) as (keeper, reader, archived):
        keeper.follow(
            namespace="ns", run_uid="run-1", slug="build", attempt=1, container="step", pod="pod", pod_uid="pod-uid"
        )
        await archived.get()
        found = [each async for each in reader.read(STREAM)]
    assert [each.text for each in found] == [f"line {number}" for number in range(1500)]
    assert len(kubelet.since) == 4
    assert kubelet.since[0] is None
    assert all(kubelet.since[1:])


async def test_a_line_reaches_a_reader_when_it_is_printed(tmp_path: Path) -> None:
    kubelet = Kubelet([line(0)])
    finished = asyncio.Event()
    seen: list[str] = []
    async with asyncio.timeout(LONGEST), keeping(kubelet, tmp_path) as (keeper, reader, _):
        keeper.follow(
            namespace="ns", run_uid="run-1", slug="build", attempt=1, container="step", pod="pod", pod_uid="pod-uid"
        )
        async for frame in reader.follow_run("ns", "run-1", finished=finished):
            if isinstance(frame, Lines):
                seen += [each.text for each in frame.lines]
                if len(seen) < 5:
                    kubelet.lines.append(line(len(seen)))
                else:
                    kubelet.ended = True
                kubelet.more.set()
            if isinstance(frame, StreamEnd):
                finished.set()
            if isinstance(frame, RunEnd):
                break
    assert seen == [f"line {number}" for number in range(5)]
