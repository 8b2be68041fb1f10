"""The client against a fake controller: calls, error messages, and streams that resume."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import wait_until_async
from tests.unit.workbench.client.fake_api import FakeApi, problem, run_json, serving, step_json
from workbench.client import (
    ArchiveSource,
    Client,
    ConflictError,
    DamagedDownloadError,
    ForbiddenError,
    InvalidError,
    Lines,
    NotFoundError,
    RunChanged,
    RunDeleted,
    RunRequest,
    RunsListed,
    ServerError,
    StreamKey,
    UnauthorizedError,
    UnreachableError,
)
from workbench.client.endpoint import Endpoint
from workbench.client.models import RunEnd


async def no_sleep(_: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
async def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def endpoint(api: FakeApi, tmp_path: Path) -> AsyncIterator[Endpoint]:
    async with serving(api, tmp_path) as endpoint:
        yield endpoint


@pytest.fixture
async def client(endpoint: Endpoint) -> AsyncIterator[Client]:
    async with Client(endpoint, sleep=no_sleep) as client:
        yield client


async def test_run_is_decoded_with_steps_attempts_and_times(api: FakeApi, client: Client) -> None:
    await api.publish(run_json(status={"steps": [step_json("build")], "summary": {"total": 1, "succeeded": 1}}))
    run = await client.run("hello-1")
    step = run.step("build")
    assert step is not None
    assert step.last_attempt is not None
    assert step.last_attempt.times.running is not None
    assert (run.pipeline, run.number, run.summary.succeeded) == ("hello", 1, 1)


async def test_unknown_and_missing_fields_are_tolerated(api: FakeApi, client: Client) -> None:
    api.runs["odd-1"] = {"name": "odd-1", "future": {"a": 1}, "status": {"steps": [{"name": "x"}, "junk"]}, "number": 1}
    run = await client.run("odd-1")
    assert run.phase == "Pending"
    assert [step.slug for step in run.steps] == ["x"]
    assert run.raw["future"] == {"a": 1}


async def test_dependency_on_a_matrix_is_one_on_all_combinations(api: FakeApi, client: Client) -> None:
    names = ["a (x=1)", "a (x=2)"]
    steps = [{**step_json(name), "matrixOf": "a"} for name in names]
    await api.publish(run_json(status={"steps": [*steps, {**step_json("b"), "dependsOn": ["a"]}]}))
    step = (await client.run("hello-1")).step("b")
    assert step is not None
    assert list(step.depends_on) == names


async def test_list_continues_on_the_next_page(api: FakeApi, client: Client) -> None:
    for number in range(1, 6):
        await api.publish(run_json(f"hello-{number}"))
    first = await client.runs(limit=3)
    rest = await client.runs(limit=3, continue_=first.continue_token)
    assert [run.number for run in (*first.items, *rest.items)] == [5, 4, 3, 2, 1]
    assert rest.continue_token is None


async def test_a_source_is_uploaded_once(api: FakeApi, client: Client, tmp_path: Path) -> None:
    archive = tmp_path / "tree.tar.gz"
    archive.write_bytes(b"x" * 600_000)
    sent: list[int] = []
    assert await client.ensure_source("sha256:ab", archive, sent.append) is True
    assert await client.ensure_source("sha256:ab", archive, sent.append) is False
    assert api.sources["sha256:ab"] == archive.read_bytes()
    assert sent[-1] == 600_000


async def test_same_idempotency_key_creates_one_run(api: FakeApi, client: Client) -> None:
    first = await client.create_run(
        RunRequest({"name": "hello"}, source=ArchiveSource("sha256:ab"), params={"a": "b"}), idempotency_key="k"
    )
    second = await client.create_run(RunRequest({"name": "hello"}), idempotency_key="k")
    assert first.name == second.name == "hello-1"
    assert api.created == [
        {"pipeline": {"name": "hello"}, "source": {"archive": {"digest": "sha256:ab"}}, "params": {"a": "b"}}
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidError),
        (401, UnauthorizedError),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (500, ServerError),
    ],
)
async def test_each_status_raises_its_error_with_the_reason(
    api: FakeApi, client: Client, status: int, kind: type[Exception]
) -> None:
    api.refuse = lambda _: problem(status, "because of the moon")
    with pytest.raises(kind, match=r"can't cancel run hello-1.*because of the moon"):
        await client.cancel("hello-1")


async def test_invalid_error_holds_the_diagnostics(api: FakeApi, client: Client) -> None:
    found = {"line": 3, "column": 5, "path": "steps[0]", "severity": "error", "code": "x", "message": "no image"}
    api.refuse = lambda _: problem(422, "the pipeline has problems", problems=[found])
    with pytest.raises(InvalidError) as refused:
        await client.create_run(RunRequest({"name": "hello"}), idempotency_key="k")
    assert [(p.line, p.message) for p in refused.value.problems] == [(3, "no image")]


async def test_errors_do_not_contain_the_token(api: FakeApi, client: Client) -> None:
    api.token = "another"
    with pytest.raises(UnauthorizedError) as refused:
        await client.cluster()
    assert "secret-token" not in str(refused.value)


async def test_renewed_token_is_used_immediately(api: FakeApi, client: Client, endpoint: Endpoint) -> None:
    api.token = "renewed"

    def renew(_: object) -> None:
        endpoint.token_file.write_text("renewed")

    api.refuse = lambda request: renew(request)
    assert (await client.cluster()).ignores_images


async def test_request_is_retried_while_the_controller_starts(api: FakeApi, client: Client) -> None:
    answers = [problem(503, "starting"), problem(502, "starting")]
    api.refuse = lambda _: answers.pop() if answers else None
    assert (await client.cluster()).runtime == "process://0.1"


async def test_connection_error_names_the_command_to_run(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")
    endpoint = Endpoint("http://127.0.0.1:1", tmp_path / "token", sandbox="mine")
    async with Client(endpoint, sleep=no_sleep) as client:
        with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1.*c8s up --name mine"):
            await client.cluster()


async def test_missing_token_file_is_reported(tmp_path: Path) -> None:
    async with Client(Endpoint("http://127.0.0.1:1", tmp_path / "none")) as client:
        with pytest.raises(UnauthorizedError, match="none"):
            await client.cluster()


async def test_response_that_is_not_json_is_an_error(api: FakeApi, client: Client) -> None:
    from aiohttp import web

    api.refuse = lambda _: web.Response(text="<html>router login</html>")
    with pytest.raises(ServerError, match="is not JSON"):
        await client.cluster()


async def _changes(client: Client, count: int, run: str | None = None) -> list[Any]:
    found: list[Any] = []
    async with asyncio.timeout(60), aclosing(client.watch_runs(run)) as changes:
        async for change in changes:
            found.append(change)
            if len(found) == count:
                break
    return found


async def test_watch_yields_a_list_and_then_changes(api: FakeApi, client: Client) -> None:
    await api.publish(run_json("hello-1"))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        watching = group.create_task(_changes(client, 3))
        await wait_until_async(lambda: ("GET", "/api/v1/namespaces/default/watch/runs") in api.calls)
        await api.publish(run_json("hello-2"))
        await api.delete("hello-1")
    listed, changed, deleted = watching.result()
    assert isinstance(listed, RunsListed)
    assert [run.name for run in listed.runs] == ["hello-1"]
    assert isinstance(changed, RunChanged)
    assert changed.run.name == "hello-2"
    assert isinstance(deleted, RunDeleted)


async def test_broken_watch_resumes(api: FakeApi, endpoint: Endpoint) -> None:
    errors: list[str | None] = []
    found: list[Any] = []
    async with (
        asyncio.timeout(60),
        Client(endpoint, sleep=no_sleep, on_connection_error=errors.append) as client,
        aclosing(client.watch_runs()) as changes,
    ):
        async for change in changes:
            found.append(change)
            if len(found) > 3:
                break
            await api.publish(run_json(f"hello-{len(found)}"))
            await wait_until_async(lambda: bool(api._streams) or len(found) == 1)
            api.break_streams()
    assert [change.run.name for change in found[1:]] == ["hello-1", "hello-2", "hello-3"]
    assert errors[-1] is None
    assert any(text and "watch the runs" in text for text in errors)


async def test_expired_watch_lists_again(api: FakeApi, client: Client) -> None:
    await api.publish(run_json("hello-1"))
    api.oldest = 2

    async def bring_up_to_date(request: Any) -> None:
        await api.publish(run_json("hello-2"))

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        watching = group.create_task(_changes(client, 2))
        await wait_until_async(lambda: ("GET", "/api/v1/namespaces/default/watch/runs") in api.calls)
        await bring_up_to_date(None)
    first, second = watching.result()
    assert isinstance(first, RunsListed)
    assert isinstance(second, RunsListed)


async def test_watching_an_unknown_run_yields_an_empty_list(client: Client) -> None:
    assert await _changes(client, 1, "nobody-1") == [RunsListed(())]


async def _lines(client: Client, **options: Any) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    async with asyncio.timeout(60), aclosing(client.stream_logs("hello-1", **options)) as frames:
        async for frame in frames:
            if isinstance(frame, Lines):
                found += [(frame.first + index, line.text) for index, line in enumerate(frame.lines)]
            elif isinstance(frame, RunEnd):
                break
    return found


async def test_log_stream_resumes_without_gap_or_repeat(api: FakeApi, client: Client) -> None:
    await api.write("hello-1", "build", "one", "two")
    api.cut_after = 1
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        reading = group.create_task(_lines(client))
        stream = ("GET", "/api/v1/namespaces/default/runs/hello-1/logs/stream")
        await wait_until_async(lambda: api.calls.count(stream) == 2)
        await api.write("hello-1", "build", "three")
        await api.end("hello-1", "build")
        await api.finish_logs("hello-1")
    assert reading.result() == [(1, "one"), (2, "two"), (3, "three")]


async def test_log_stream_starts_after_the_cursor(api: FakeApi, client: Client) -> None:
    await api.write("hello-1", "build", "one", "two", "three")
    await api.finish_logs("hello-1")
    assert await _lines(client, after={StreamKey("build", 1, "step"): 2}) == [(3, "three")]


async def test_stream_gives_up_after_the_reconnect_timeout(endpoint: Endpoint, api: FakeApi) -> None:
    api.refuse = lambda _: problem(503, "starting for ever")
    seconds = iter(range(100))
    async with Client(endpoint, sleep=no_sleep, reconnect_timeout=5, clock=lambda: next(seconds)) as client:
        with pytest.raises(ServerError):
            await _lines(client)


async def test_stored_lines_may_hold_any_bytes(api: FakeApi, client: Client) -> None:
    await api.write("hello-1", "build", "grün", "raw \udcff byte", "")
    async with aclosing(client.logs("hello-1", "build")) as lines:
        assert [line async for line in lines] == ["grün", "raw \ufffd byte", ""]


async def test_artifacts_are_downloaded_to_a_file(api: FakeApi, client: Client, tmp_path: Path) -> None:
    api.archives[("hello-1", "build")] = b"archive"
    assert await client.download("hello-1", "build", tmp_path / "x") == 7
    assert (tmp_path / "x").read_bytes() == b"archive"
    assert [item.step for item in await client.artifacts("hello-1")] == ["build"]


async def test_many_artifacts_are_listed_page_by_page_up_to_a_limit(api: FakeApi, client: Client) -> None:
    api.archives |= {("hello-1", "build"): b"", ("hello-1", "test"): b""}
    api.artifact_paths = [f"out/{number}" for number in range(4_500)]
    found = await client.artifacts("hello-1")
    assert len({(item.step, item.path) for item in found}) == 9_000
    assert await client.artifacts("hello-1", limit=2_001) == found[:2_001]
    assert {item.step for item in await client.artifacts("hello-1", step="test")} == {"test"}


async def test_download_that_is_not_what_was_stored_is_refused(api: FakeApi, client: Client, tmp_path: Path) -> None:
    api.archives[("hello-1", "build")] = b"replaced"
    api.stored_digest = "0" * 64
    with pytest.raises(DamagedDownloadError, match="SHA-256"):
        await client.download("hello-1", "build", tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


async def test_secrets_are_set_listed_and_deleted(api: FakeApi, client: Client) -> None:
    await client.put_secret("db", {"password": "p"})
    assert await client.put_secret("db", {"user": "u"}) == ("the value of user is short",)
    assert [(secret.name, secret.keys) for secret in await client.secrets()] == [("db", ("password", "user"))]
    await client.delete_secret("db")
    assert await client.secrets() == ()


async def test_lint_returns_diagnostics_and_the_trigger(client: Client) -> None:
    answer = await client.lint("bad", event="push")
    assert [problem.message for problem in answer.problems] == ["bad"]
    assert (answer.would_run, answer.why) == (False, "no such branch")
    assert (await client.lint("fine")).would_run is None


def test_health_is_decoded_with_missing_fields() -> None:
    from workbench.client import ComponentHealth, Health, Pod, Quota
    from workbench.client.decode import decode_health, decode_pipeline

    raw = {
        "ready": [{"name": "store", "ready": False, "message": "it is away"}, {"name": "watch", "ready": True}],
        "queue": {"depth": 2, "oldestSeconds": 3},
        "quota": [{"name": "q", "resource": "pods", "used": "1", "hard": "2"}],
        "pods": [{"name": "p", "step": None, "run": "r", "phase": "Running", "node": None, "startedAt": "nonsense"}],
    }
    assert decode_health(raw) == Health(
        (ComponentHealth("store", False, "it is away"), ComponentHealth("watch", True, None)),
        2,
        3.0,
        (Quota("q", "pods", "1", "2"),),
        (Pod("p", None, "r", "Running", None, None),),
    )
    assert decode_health({"ready": "x", "queue": None}) == Health((), 0, None, (), ())
    assert decode_pipeline({"name": "a", "definition": {"name": "a"}}).definition == {"name": "a"}
