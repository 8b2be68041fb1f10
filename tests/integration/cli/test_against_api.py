"""The client and `c8s run` against the controller's own API; Kubernetes and the operator are scripted."""

from __future__ import annotations

import array
import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from controller.kube import PIPELINE_RUNS
from controller.logs import Block, Stream
from controller.storage.sources import SourceId, find_source
from tests.support.waiting import LONGEST
from tests.unit.controller.api.fakes import ANN, ApiServer, run_api
from workbench.cli.options import Target
from workbench.cli.output.console import ConsoleStyle
from workbench.cli.run_session.session import RunSession
from workbench.client import (
    ArchiveSource,
    Client,
    ForbiddenError,
    InvalidError,
    Lines,
    NotFoundError,
    RunChanged,
    RunDeleted,
    RunRequest,
    RunsListed,
    StreamKey,
    UnauthorizedError,
)
from workbench.client.endpoint import Endpoint
from workbench.client.models import RunEnd
from workbench.submit.submit import RunSubmission

STEP = {"name": "build", "image": "busybox:1", "commands": ["echo hello"]}
PIPELINE: dict[str, Any] = {"name": "hello", "steps": [STEP]}
TIMES = {
    "created": "2026-01-01T00:00:00.100000Z",
    "scheduled": "2026-01-01T00:00:00.200000Z",
    "running": "2026-01-01T00:00:00.300000Z",
    "finished": "2026-01-01T00:00:01.300000Z",
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with run_api(tmp_path) as api:
        yield api


@pytest.fixture
def endpoint(api: ApiServer, tmp_path: Path) -> Endpoint:
    (tmp_path / "token").write_text(ANN)
    return Endpoint(api.url, tmp_path / "token", "a")


@pytest.fixture
async def client(endpoint: Endpoint) -> AsyncIterator[Client]:
    async with Client(endpoint) as client:
        yield client


def block(first: int, *texts: str) -> Block:
    return Block(first, array.array("q", [10**18] * len(texts)), "".join(f"{text}\n" for text in texts).encode())


def step(phase: str, **more: Any) -> dict[str, Any]:
    attempt = {"number": 1, "phase": phase, "times": TIMES, "containers": ["step"], **more}
    return {"name": "build", "slug": "build", "dependsOn": [], "phase": phase, "attempts": [attempt]}


async def play_operator(api: ApiServer, phase: str) -> None:
    """Wait for the run, let its step write two lines, and end it."""
    while (PIPELINE_RUNS, "a", "hello-1") not in api.kubernetes.objects:
        await asyncio.sleep(0)
    api.kubernetes.status("a", "hello-1", phase="Running", steps=[step("Running")])
    log = api.hub.open(Stream("a", "uid-of-hello-1", "build", 1, "step"), 1, [])
    api.hub.publish(log, block(1, "one", "two"))
    if phase == "Cancelled":
        while not api.kubernetes.objects[(PIPELINE_RUNS, "a", "hello-1")]["spec"].get("cancel"):
            await asyncio.sleep(0)
    api.hub.publish(log, block(3, "three"))
    api.hub.mark_ended(log)
    summary = {"total": 1, phase.lower(): 1}
    api.kubernetes.status("a", "hello-1", phase=phase, steps=[step(phase)], summary=summary)


async def test_run_from_working_tree_to_summary(
    api: ApiServer, endpoint: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("x")
    submission = RunSubmission(RunRequest(PIPELINE, branch="main", event="push"), "key", tree)
    async with asyncio.timeout(LONGEST), asyncio.TaskGroup() as group:
        group.create_task(play_operator(api, "Succeeded"))
        running = group.create_task(RunSession(submission, Target(endpoint=endpoint), ConsoleStyle(False, None)).run())
    assert running.result() == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("build | ")]
    assert [line for line in lines if "--" not in line] == ["build | one", "build | two", "build | three"]
    assert lines[-1] == "build | -- succeeded"
    spec = api.kubernetes.objects[(PIPELINE_RUNS, "a", "hello-1")]["spec"]
    assert (spec["branch"], spec["event"]) == ("main", "push")
    digest = spec["source"]["archive"]["digest"].removeprefix("sha256:")
    assert await find_source(api.store, SourceId("a", api.kubernetes.namespace_uids["a"], digest), api.state.utc_now())


async def test_api_errors_become_client_errors(client: Client, endpoint: Endpoint, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nobody-1"):
        await client.run("nobody-1")
    with pytest.raises(InvalidError) as refused:
        await client.create_run(RunRequest({**PIPELINE, "steps": [{**STEP, "dependsOn": ["x"]}]}), idempotency_key="k")
    assert "x" in refused.value.problems[0].message
    with pytest.raises(InvalidError):
        await client.create_run(RunRequest(PIPELINE, source=ArchiveSource("sha256:" + "0" * 64)), idempotency_key="k2")
    async with Client(Endpoint(endpoint.url, endpoint.token_file, "b")) as other:
        with pytest.raises(ForbiddenError):
            await other.runs()
    (tmp_path / "wrong").write_text("nobody")
    async with Client(Endpoint(endpoint.url, tmp_path / "wrong", "a")) as other:
        with pytest.raises(UnauthorizedError):
            await other.runs()
        with pytest.raises(UnauthorizedError):
            async with aclosing(other.stream_logs("x-1")) as frames:
                await anext(frames)


async def test_same_idempotency_key_creates_one_run(client: Client) -> None:
    first = await client.create_run(RunRequest(PIPELINE, event="push"), idempotency_key="k")
    assert (
        (await client.create_run(RunRequest(PIPELINE, event="push"), idempotency_key="k")).name
        == first.name
        == "hello-1"
    )
    assert (await client.create_run(RunRequest(PIPELINE, event="push"), idempotency_key="l")).name == "hello-2"
    page = await client.runs(limit=1)
    rest = await client.runs(limit=1, continue_=page.continue_token)
    assert [run.name for run in (*page.items, *rest.items)] == ["hello-2", "hello-1"]


async def test_watch_continues_from_the_list(client: Client) -> None:
    await client.create_run(RunRequest(PIPELINE), idempotency_key="k")
    async with asyncio.timeout(LONGEST), aclosing(client.watch_runs()) as changes:
        listed = await anext(changes)
        assert isinstance(listed, RunsListed)
        assert [run.name for run in listed.runs] == ["hello-1"]
        await client.create_run(RunRequest(PIPELINE), idempotency_key="l")
        changed = await anext(changes)
        assert isinstance(changed, RunChanged)
        assert changed.run.name == "hello-2"
        await client.delete("hello-1")
        while not isinstance(change := await anext(changes), RunDeleted):
            assert isinstance(change, RunChanged)
        assert change.run.name == "hello-1"


async def test_log_stream_resumes_at_the_cursor(api: ApiServer, client: Client) -> None:
    await client.create_run(RunRequest(PIPELINE), idempotency_key="k")
    async with asyncio.timeout(LONGEST), asyncio.TaskGroup() as group:
        group.create_task(play_operator(api, "Succeeded"))
        found: list[tuple[int, str]] = []
        async with aclosing(client.stream_logs("hello-1", after={StreamKey("build", 1, "step"): 1})) as frames:
            async for frame in frames:
                if isinstance(frame, Lines):
                    found += [(frame.first + index, line.text) for index, line in enumerate(frame.lines)]
                if isinstance(frame, RunEnd):
                    break
    assert found == [(2, "two"), (3, "three")]
    async with aclosing(client.logs("hello-1", "build", tail=1)) as lines:
        assert [line async for line in lines] == ["three"]


async def test_cancel_ends_the_run(api: ApiServer, client: Client) -> None:
    await client.create_run(RunRequest(PIPELINE), idempotency_key="k")
    async with asyncio.timeout(LONGEST), asyncio.TaskGroup() as group:
        group.create_task(play_operator(api, "Cancelled"))
        assert (await client.cancel("hello-1")).cancel_requested
        async with aclosing(client.watch_runs("hello-1")) as changes:
            async for change in changes:
                runs = change.runs if isinstance(change, RunsListed) else (change.run,)
                if runs and runs[0].ended:
                    break


async def test_secrets_cluster_and_lint_are_decoded(client: Client) -> None:
    await client.put_secret("db", {"password": "hunter2"})
    assert [(secret.name, secret.keys) for secret in await client.secrets()] == [("db", ("password",))]
    await client.delete_secret("db")
    assert await client.secrets() == ()
    assert (await client.lint("steps: 1")).problems
    assert (await client.cluster()).version == "v1.36.2"
