"""Spare copies of sources are asked for when it is calm, and not while a step begins."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.operator.effects.source_files import ListedSources
from controller.runtime.spare_sources import SpareSources
from controller.storage import DirectoryStore
from controller.storage.sources import SourceId, period_at
from tests.support.waiting import wait_until_async

NOW = datetime(2026, 11, 30, tzinfo=UTC)
SHA = "a" * 64
AGENT = "import sys; open(sys.argv[1], 'a').write(f'{sys.argv[3][0]} {len(sys.stdin.buffer.read())}\\n'); print('made')"
"""Notes the digest and the size of what it gets."""
REFUSES = "import sys; sys.exit('the disk is full')"
IGNORES = "import sys; open(sys.argv[1], 'a').write('there\\n')"


class Runs:
    """An informer that a test fills."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.handlers: list[Any] = []

    def on_change(self, handler: Any) -> None:
        self.handlers.append(handler)

    async def wait_for_sync(self) -> None:
        return

    def list(self) -> list[dict[str, Any]]:
        return list(self.objects.values())

    def put(self, name: str, *steps: dict[str, Any], sha: str = SHA, phase: str = "Running", at: int = 0) -> None:
        run = {
            "metadata": {
                "namespace": "default",
                "name": name,
                "uid": name,
                "creationTimestamp": f"2026-11-30T00:0{at}",
            },
            "spec": {"source": {"archive": {"digest": f"sha256:{sha}"}}},
            "status": {"phase": phase, "steps": list(steps)},
        }
        self.objects[name] = run
        for handler in self.handlers:
            handler("MODIFIED", None, run)


class Client:
    async def get(self, *_: Any) -> dict[str, Any]:
        return {"metadata": {"uid": "u1"}}


def step(phase: str, reason: str = "", attempts: int = 1) -> dict[str, Any]:
    return {"phase": phase, "reason": reason, "attempts": [{}] * attempts}


class Made:
    """What the agent was asked for."""

    def __init__(self, path: Path, runs: Runs) -> None:
        self._path = path
        self.runs = runs

    @property
    def lines(self) -> list[str]:
        return self._path.read_text().splitlines() if self._path.exists() else []

    async def wait_for(self, *lines: str) -> None:
        await wait_until_async(lambda: self.lines == list(lines), 60, what=lambda: f"{lines}, not {self.lines}")


@asynccontextmanager
async def spare_sources(
    tmp_path: Path, agent: str = AGENT, stored: bytes = bytes(2000), listed: ListedSources | None = None
) -> AsyncIterator[Made]:
    runs, store = Runs(), DirectoryStore(tmp_path / "store", signing_key=b"k" * 32, public_url="http://localhost")
    for sha in (SHA, "b" * 64):
        await store.put(SourceId("default", "u1", sha).key(period_at(NOW)), stored)
    command = [sys.executable, "-c", agent, str(tmp_path / "asked")]
    client: Any = Client()
    informer: Any = runs
    spares = SpareSources(
        client, store, informer, command, now=lambda: NOW, calm=0.01, listed=listed or ListedSources()
    )
    task = asyncio.create_task(spares.run())
    await wait_until_async(lambda: bool(runs.handlers), what="the handler")
    try:
        yield Made(tmp_path / "asked", runs)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.close()


async def test_each_attempt_that_began_may_have_taken_the_last_one(tmp_path: Path) -> None:
    async with spare_sources(tmp_path) as made:
        made.runs.put("shop-1", step("Running"))
        await made.wait_for("a 2000")
        made.runs.put("shop-1", step("Succeeded"), step("Running"))
        await made.wait_for("a 2000", "a 2000")
        # Nothing has begun since.
        made.runs.put("shop-1", step("Succeeded"), step("Succeeded"), phase="Succeeded")
        made.runs.put("shop-2", step("Running"), sha="b" * 64, at=1)
        await made.wait_for("a 2000", "a 2000", "b 2000")
        # An older run does not take the place of the newest source.
        made.runs.put("shop-1", step("Succeeded"), step("Failed", attempts=2))
        made.runs.put("shop-2", step("Succeeded"), step("Running"), sha="b" * 64, at=1)
        await made.wait_for("a 2000", "a 2000", "b 2000", "b 2000")


async def test_of_the_runs_of_one_second_the_last_one_counts(tmp_path: Path) -> None:
    async with spare_sources(tmp_path) as made:
        made.runs.put("shop-10", step("Running"), sha="b" * 64)
        made.runs.put("shop-9", step("Running"))
        await made.wait_for("b 2000")


async def test_nothing_is_made_while_a_step_begins(tmp_path: Path) -> None:
    async with spare_sources(tmp_path) as made:
        made.runs.put("shop-1", step("Pending", "Preparing"))
        made.runs.put("shop-2", step("Running"), sha="b" * 64, at=1)
        made.runs.put("shop-2", step("Succeeded"), sha="b" * 64, at=1)
        with pytest.raises(AssertionError):
            await wait_until_async(lambda: bool(made.lines), 0.2, what="a call")
        made.runs.put("shop-1", step("Pending", "WaitingAtGate"))
        await made.wait_for("b 2000")


async def test_an_agent_that_fails_or_reads_nothing_is_no_problem(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with spare_sources(tmp_path, agent=REFUSES) as made:
        made.runs.put("shop-1", step("Running"))
        await wait_until_async(
            lambda: "no spare copy of a source was made: the disk is full" in caplog.text, 60, what="log"
        )
    (tmp_path / "other").mkdir()
    async with spare_sources(tmp_path / "other", agent=IGNORES, stored=bytes(2**20)) as made:
        made.runs.put("shop-1", step("Running"))
        await made.wait_for("there")
        made.runs.put("shop-1", step("Running", attempts=2))
        await made.wait_for("there", "there")


async def test_sources_that_are_gone_or_too_large_get_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.runtime.spare_sources.MAX_BYTES", 1999)
    async with spare_sources(tmp_path) as made:
        made.runs.put("shop-1", step("Running"), sha="c" * 64)
        made.runs.put("shop-1", step("Running", attempts=2))
        with pytest.raises(AssertionError):
            await wait_until_async(lambda: bool(made.lines), 0.2, what="a call")


async def test_no_process_is_started_for_a_source_that_is_known_to_be_small(tmp_path: Path) -> None:
    listed = ListedSources()
    listed.put(SHA, {"a": "file 1"})
    listed.put("b" * 64, {str(number): "file 1" for number in range(64)})
    async with spare_sources(tmp_path, listed=listed) as made:
        made.runs.put("shop-1", step("Running"))
        made.runs.put("shop-2", step("Running"), at=1)
        made.runs.put("shop-3", step("Running"), sha="b" * 64, at=2)
        await made.wait_for("b 2000")
    (tmp_path / "other").mkdir()
    async with spare_sources(tmp_path / "other", stored=b"1234") as made:
        made.runs.put("shop-1", step("Running"))
        with pytest.raises(AssertionError):
            await wait_until_async(lambda: bool(made.lines), 0.2, what="a call")
