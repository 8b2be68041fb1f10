"""A client that was opened to read only sends nothing that may change something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.workbench.client.fake_api import FakeApi, run_json, serving
from workbench.client import Client, RunRequest
from workbench.client.errors import ReadOnlyError

WRITES: dict[str, Callable[[Client], Any]] = {
    "create_run": lambda client: client.create_run(RunRequest({"name": "a"}), idempotency_key="1"),
    "cancel": lambda client: client.cancel("hello-1"),
    "delete": lambda client: client.delete("hello-1"),
    "rerun": lambda client: client.rerun("hello-1", idempotency_key="1"),
    "approve": lambda client: client.approve("hello-1"),
    "continue_step": lambda client: client.continue_step("hello-1", "build"),
    "set_breakpoints": lambda client: client.set_breakpoints("hello-1", []),
    "put_secret": lambda client: client.put_secret("a", {"b": "c"}),
    "delete_secret": lambda client: client.delete_secret("a"),
    "replay": lambda client: client.replay("a", "1"),
    "copy_step": lambda client: client.copy_step("hello-1", "build", idempotency_key="1", attempt=1, seconds=60),
}


async def test_reads_are_answered_and_writes_are_not_sent(tmp_path: Path) -> None:
    api = FakeApi()
    async with serving(api, tmp_path) as endpoint, Client(endpoint, read_only=True) as client:
        await api.publish(run_json())
        assert (await client.run("hello-1")).name == "hello-1"
        before = dict(api.runs)
        for name, call in WRITES.items():
            with pytest.raises(ReadOnlyError, match="this is read-only"):
                await call(client)
            assert hasattr(client, name)
        assert api.runs == before


async def test_sources_are_not_sent(tmp_path: Path) -> None:
    archive = tmp_path / "source"
    archive.write_bytes(b"x")
    async with serving(FakeApi(), tmp_path) as endpoint, Client(endpoint, read_only=True) as client:
        with pytest.raises(ReadOnlyError):
            await client.ensure_source("0" * 64, archive)


async def test_shells_are_not_opened(tmp_path: Path) -> None:
    async with serving(FakeApi(), tmp_path) as endpoint, Client(endpoint, read_only=True) as client:
        with pytest.raises(ReadOnlyError):
            async with client._transport.raw_socket("/x", "open a shell", ()):
                pass
