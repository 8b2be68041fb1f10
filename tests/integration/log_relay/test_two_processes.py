"""Operator and API as two processes: viewers see lines as they are printed, leader after leader."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import controller
from tests.integration.kind.test_roles import Installed, answers, furnish, running
from tests.support.waiting import LONGEST, wait_until
from workbench.sandbox.credentials import kubeconfig
from workbench.sandbox.launch import listen

RUNS = "/api/v1/namespaces/default/runs"


@dataclass
class House(Installed):
    """The cluster and the API; operators come and go."""

    given: list[str]

    def operator(self, name: str) -> Any:
        """An operator process as a context."""
        more = ["--role", "operator", "--leader-elect", "--operator-port", "0"]
        more += ["--kubeconfig", str(self.folder / "operator.kubeconfig")]
        return running(self.folder, name, ["controller", *more, *self.given], [])

    def gate(self, number: int) -> Path:
        return self.folder / f"gate-{number}"


@pytest.fixture
async def house(tmp_path: Path) -> Any:
    with ExitStack() as leaving:
        folder, cluster = tmp_path, leaving.enter_context(listen(0))
        url = f"http://127.0.0.1:{cluster.getsockname()[1]}"
        (folder / "tokens.csv").write_text('admin,c8s-admin,1,"system:masters"\n')
        given = ["--data-dir", str(folder / "data"), "--listen-fd", str(cluster.fileno())]
        given += ["--token-auth-file", str(folder / "tokens.csv")]
        leaving.enter_context(running(folder, "cluster", ["embedded", *given], [cluster.fileno()]))
        admin = folder / "admin.kubeconfig"
        admin.write_text(kubeconfig("here", url, "admin", "admin"))
        tokens = await furnish(admin)
        for role, token in tokens.items():
            (folder / f"{role}.kubeconfig").write_text(kubeconfig("here", url, role, token))
        serving = leaving.enter_context(listen(0))
        api = f"http://127.0.0.1:{serving.getsockname()[1]}"
        (folder / "agent.key").write_text("k" * 40)
        agent = Path(controller.__file__).parent / "agent"
        both = ["--public-url", api, "--store", (folder / "store").as_uri()]
        both += ["--agent-key-file", str(folder / "agent.key")]
        both += ["--agent-command", json.dumps([sys.executable, "-I", "-S", str(agent)])]
        ours = ["--role", "api", "--kubeconfig", str(folder / "api.kubeconfig"), "--listen-fd", str(serving.fileno())]
        leaving.enter_context(running(folder, "api", ["controller", *ours, *both], [serving.fileno()]))
        wait_until(lambda: answers(f"{api}/readyz"), LONGEST, what="the API")
        yield House(folder, api, (folder / "workbench.token").read_text().strip(), "", both)


def gated(house: House, *lines: str) -> dict[str, Any]:
    """A run of one step that prints a line and waits for a gate before the next one."""
    script = []
    for number, line in enumerate(lines):
        gate = house.gate(number)
        script += [f"echo {line}", f"while [ ! -e {gate} ]; do sleep 0.02; done"]
    step = {"name": "build", "image": "busybox:1.36", "commands": ["\n".join(script)]}
    body = {"pipeline": {"version": "v1alpha1", "name": "live", "steps": [step]}, "branch": "main", "event": "push"}
    found: dict[str, Any] = house.call("POST", RUNS, body)
    return found


@asynccontextmanager
async def watching(house: House, run: str, query: str = "") -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The frames of the run's log socket."""
    headers = {"Authorization": f"Bearer {house.token}"}
    url = f"{house.api}{RUNS}/{run}/logs/stream{query}"
    async with aiohttp.ClientSession() as http, http.ws_connect(url, headers=headers) as socket:

        async def frames() -> AsyncIterator[dict[str, Any]]:
            async for message in socket:
                found = message.json()
                for each in found["frames"] if found["type"] == "batch" else [found]:
                    yield each

        yield frames()


async def next_lines(frames: AsyncIterator[dict[str, Any]]) -> list[tuple[int, str]]:
    """The next lines, numbered; a frame that tells of missed lines is a failure."""
    async with asyncio.timeout(LONGEST):
        async for frame in frames:
            assert frame["type"] != "missed", frame
            if frame["type"] == "lines":
                return [(frame["first"] + at, text) for at, (_, text) in enumerate(frame["lines"])]
    raise AssertionError("no more lines")


async def test_live_lines_survive_a_change_of_leader(house: House) -> None:
    with ExitStack() as first:
        first.enter_context(house.operator("operator-1"))
        run = gated(house, "one", "two", "three", "four")["name"]
        async with watching(house, run) as frames:
            # The step waits at its first gate: what comes, comes live.
            assert await next_lines(frames) == [(1, "one")]
            text = await asyncio.to_thread(house.call, "GET", f"{RUNS}/{run}/steps/build/logs")
            assert text == "one\n"
            house.gate(0).touch()
            assert await next_lines(frames) == [(2, "two")]
            await asyncio.to_thread(first.close)
            house.gate(1).touch()
            with house.operator("operator-2"):
                assert await next_lines(frames) == [(3, "three")]
                # A reader that comes now gets all of it, under the same numbers.
                async with watching(house, run) as others:
                    seen: list[tuple[int, str]] = []
                    while len(seen) < 3:
                        seen += await next_lines(others)
                    assert seen == [(1, "one"), (2, "two"), (3, "three")]
                house.gate(2).touch()
                assert await next_lines(frames) == [(4, "four")]
                house.gate(3).touch()
                async with asyncio.timeout(LONGEST):
                    rest = [frame async for frame in frames]
                assert [frame["type"] for frame in rest] == ["end", "done"]
                assert rest[0]["lines"] == 4
                text = await asyncio.to_thread(house.call, "GET", f"{RUNS}/{run}/steps/build/logs")
                assert text == "one\ntwo\nthree\nfour\n"
    said = "".join((house.folder / f"{name}.log").read_text() for name in ("operator-1", "operator-2", "api"))
    assert "Traceback" not in said
    assert "forbidden" not in said.lower()
