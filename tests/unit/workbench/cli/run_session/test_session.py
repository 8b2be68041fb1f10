"""`c8s run` from the request to the exit code, against a fake controller."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.waiting import wait_until_async
from tests.unit.workbench.client.fake_api import FakeApi, problem, run_json, step_json
from workbench.cli import options
from workbench.cli.options import Target
from workbench.cli.output.console import CommandError, ConsoleStyle, InputError
from workbench.cli.run_session import follow, session
from workbench.cli.run_session.require_secrets import require_secrets
from workbench.cli.run_session.session import RunSession
from workbench.client import Client, ClientError, RunRequest
from workbench.submit.submit import RerunSubmission, RunSubmission

PLAIN = ConsoleStyle(colour=False, width=None)


def submission(tree: Path | None = None) -> RunSubmission:
    return RunSubmission(RunRequest({"name": "hello", "steps": []}), "k", tree)


async def finish(api: FakeApi, name: str, phase: str, *steps: dict[str, Any]) -> None:
    counts: dict[str, int] = {"total": len(steps)}
    for step in steps:
        counts[step["phase"].lower()] = counts.get(step["phase"].lower(), 0) + 1
    end = {"steps": list(steps), "summary": counts, "completionTime": "2026-01-01T00:00:03Z"}
    await api.publish(run_json(name, phase, status=end))
    await api.finish_logs(name)


async def run(api: FakeApi, target: Target, tree: Path | None = None, **options: Any) -> int:
    async with asyncio.timeout(60):
        return await RunSession(submission(tree), target, PLAIN, **options).run()


async def test_successful_run_prints_lines_and_table_and_exits_0(
    api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(name: str) -> None:
        running = [step_json("lint", "Running"), step_json("unit-tests", "Pending")]
        await api.publish(run_json(name, "Running", status={"steps": running}))
        await api.write(name, "lint", "all fine")
        await api.end(name, "lint")
        await api.write(name, "unit-tests", "1 passed")
        await api.end(name, "unit-tests")
        await finish(api, name, "Succeeded", step_json("lint"), step_json("unit-tests", dependsOn=["lint"]))

    api.on_create = play
    assert await run(api, target) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == [
        "run hello-1 (without files)",
        "images are ignored: steps run on this machine as your user (process://0.1)",
    ]
    assert "lint       | all fine" in out
    assert "unit-tests | 1 passed" in out
    assert out.index("lint       | all fine") < out.index("lint       | -- succeeded")
    assert next(line.split() for line in out if line.startswith("STEP")) == [
        "STEP", "STATUS", "TIME", "QUEUED", "STARTING", "FETCHING", "RUNNING", "UPLOADING",
    ]  # fmt: skip
    assert next(line.split() for line in out if line.startswith("lint ") and "Succeeded" in line) == [
        "lint", "Succeeded", "2.50s", "0.20s", "0.30s", "-", "2.00s", "-",
    ]  # fmt: skip
    assert out[-1] == "run hello-1 succeeded in 3.00s: 2 steps, 2 succeeded"


async def test_failed_run_exits_1_and_prints_first_failing_line(
    api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(name: str) -> None:
        failed = step_json("test", "Failed", message="exit code 1")
        failed["attempts"][0]["log"] = {"lines": 2, "firstFailure": {"line": 2, "text": "E  assert 1 == 2"}}
        failed["attempts"][0]["kept"] = {"bytes": 9, "files": 1}
        await finish(api, name, "Failed", failed, step_json("deploy", "Skipped", message="test failed"))

    api.on_create = play
    assert await run(api, target) == 1
    out = capsys.readouterr().out
    assert "test: line 2: E  assert 1 == 2" in out
    assert "test   | -- failed: exit code 1" in out
    assert "deploy | -- skipped: test failed" in out
    assert "see more: c8s logs hello-1 test" in out
    assert "enter its workspace: c8s shell hello-1 test" in out


async def test_late_run_exits_1_and_says_so(api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    message = "the run took too long; 2 steps were stopped or did not begin"

    async def play(name: str) -> None:
        stopped = "stopped, because the run took too long"
        steps = [
            step_json("test", "Cancelled", reason="Timeout", message=stopped),
            step_json("deploy", "Cancelled", reason="Timeout", attempts=[], message="the run took longer than 1m"),
        ]
        counts = {"total": 2, "cancelled": 2}
        end = {"steps": steps, "summary": counts, "completionTime": "2026-01-01T00:00:03Z"}
        await api.publish(run_json(name, "Failed", status={**end, "reason": "Timeout", "message": message}))
        await api.finish_logs(name)

    api.on_create = play
    assert await run(api, target) == 1
    out = capsys.readouterr().out.splitlines()
    assert "test   | -- cancelled: stopped, because the run took too long" in out
    assert "deploy | -- cancelled: the run took longer than 1m" in out
    assert message in out
    assert "run hello-1 failed in 3.00s: 2 steps, 2 cancelled" in out


async def test_working_tree_is_uploaded_once_and_described(
    api: FakeApi, target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.on_create = lambda name: finish(api, name, "Succeeded")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_text("x")
    assert await run(api, target, tree) == 0
    assert next(method for method, path in api.calls if "/sources/" in path) == "HEAD"
    assert api.created[0]["source"]["archive"]["digest"] in api.sources
    assert "(1 file, " in capsys.readouterr().out


async def test_step_output_cannot_control_the_terminal(
    api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(name: str) -> None:
        await api.write(name, "a", "\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m")
        await api.end(name, "a")
        failed = step_json("a", "Failed", message="bad \x1b[2J message")
        await finish(api, name, "Failed", failed)

    api.on_create = play
    await run(api, target)
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err


async def test_log_of_the_agent_is_shown_only_when_it_failed(
    api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(name: str) -> None:
        await api.write(name, "good", "unpacked 3 files", container="agent")
        await api.write(name, "bad", "no such source", container="agent")
        bad = step_json("bad", "Failed", message="fetch failed")
        bad["attempts"][0]["times"].pop("running")
        bad["attempts"][0]["containers"] = ["agent"]
        await finish(api, name, "Failed", step_json("good"), bad)

    api.on_create = play
    await run(api, target)
    out = capsys.readouterr().out
    assert "bad  | [agent] no such source" in out
    assert "unpacked" not in out
    api.done.clear()
    await RunSession(RunSubmission(RunRequest({"name": "hello"}), "k2"), target, PLAIN, verbose=True).run()
    assert "bad  | [agent] no such source" in capsys.readouterr().out


async def test_ctrl_c_cancels_the_run_and_exits_130(
    api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(name: str) -> None:
        await api.publish(run_json(name, "Running", status={"steps": [step_json("slow", "Running")]}))
        await wait_until_async(lambda: any(path.endswith("logs/stream") for _, path in api.calls))
        os.kill(os.getpid(), signal.SIGINT)

    async def end(name: str) -> None:
        await api.write(name, "slow", "caught SIGTERM")
        await api.end(name, "slow")
        await finish(api, name, "Cancelled", step_json("slow", "Cancelled", message="the run was cancelled"))

    api.on_create, api.on_cancel = play, end
    assert await run(api, target) == 130
    captured = capsys.readouterr()
    assert "cancelling run hello-1" in captured.err
    assert "caught SIGTERM" in captured.out
    assert "run hello-1 cancelled in 3.00s: 1 step, 1 cancelled" in captured.out


async def test_waiting_for_a_cancelled_run_has_a_timeout(
    api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_CANCEL", 0.05)

    async def play(name: str) -> None:
        await wait_until_async(lambda: any(path.endswith("logs/stream") for _, path in api.calls))
        os.kill(os.getpid(), signal.SIGTERM)

    api.on_create = play
    assert await run(api, target) == 130
    assert "has not ended yet" in capsys.readouterr().err


async def interrupt_once_streaming(api: FakeApi) -> None:
    await wait_until_async(lambda: any(path.endswith("logs/stream") for _, path in api.calls))
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("fault", ["hangs", "answers 503"])
async def test_run_that_cannot_be_cancelled_is_left_with_a_command(
    api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(follow, "_ANSWER", 0.2)
    api.on_create = lambda _: interrupt_once_streaming(api)
    if fault == "hangs":
        api.hangs = lambda request: request.path.endswith("/cancel")
    else:
        api.refuse = lambda request: problem(503, "the disk is full") if request.path.endswith("/cancel") else None
    assert await run(api, target) == 130
    error = capsys.readouterr().err
    assert "run hello-1 could not be cancelled and may go on" in error
    assert "cancel it later with `c8s cancel hello-1`" in error


async def test_end_of_a_cancelled_run_is_not_awaited_while_the_server_hangs(
    api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_ANSWER", 0.2)
    api.on_create = lambda _: interrupt_once_streaming(api)
    api.hangs = lambda request: request.method == "GET" and any(path.endswith("/cancel") for _, path in api.calls)
    assert await run(api, target) == 130
    assert "run hello-1 is being cancelled; its end is not awaited" in capsys.readouterr().err


async def test_ctrl_c_while_the_creation_hangs_says_that_a_run_may_exist(
    api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_ANSWER", 0.2)

    def hang(request: Any) -> bool:
        is_creation = request.method == "POST" and request.path.endswith("/runs")
        if is_creation:
            os.kill(os.getpid(), signal.SIGINT)
        return bool(is_creation)

    api.hangs = hang
    assert await run(api, target) == 130
    error = capsys.readouterr().err
    assert "the run may have been created: look with `c8s runs`" in error
    assert "nothing was started" not in error


async def test_ctrl_c_before_creation_starts_no_run(
    api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(request: Any) -> Any:
        if len(api.calls) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return problem(503, "still starting")

    api.refuse = interrupt
    assert await run(api, target) == 130
    assert api.created == []
    assert "nothing was started" in capsys.readouterr().err


async def test_ctrl_c_during_creation_cancels_the_run(api: FakeApi, target: Target) -> None:
    def interrupt(request: Any) -> None:
        if request.method == "POST" and request.path.endswith("/runs"):
            os.kill(os.getpid(), signal.SIGINT)

    api.refuse = interrupt
    api.on_cancel = lambda name: finish(api, name, "Cancelled")
    assert await run(api, target) == 130
    assert api.runs["hello-1"]["status"]["phase"] == "Cancelled"


async def test_streams_resume_after_a_lost_connection(
    api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(name: str) -> None:
        await api.write(name, "a", "one")
        await wait_until_async(lambda: len(api._streams) == 2)
        api.break_streams()
        await api.write(name, "a", "two")
        await api.end(name, "a")
        await finish(api, name, "Succeeded", step_json("a"))

    api.on_create = play
    assert await run(api, target) == 0
    out = capsys.readouterr().out
    assert out.count("a | one") == 1
    assert out.count("a | two") == 1


async def test_unreachable_controller_is_an_error(
    api: FakeApi, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "_RECONNECT_TIMEOUT", 0.05)

    async def play(name: str) -> None:
        await wait_until_async(lambda: len(api._streams) == 2)
        api.refuse = lambda _: problem(503, "no more")
        api.break_streams()

    api.on_create = play
    with pytest.raises(ClientError):
        await run(api, target)


async def test_deleted_run_is_an_error(api: FakeApi, target: Target) -> None:
    async def play(name: str) -> None:
        await wait_until_async(lambda: len(api._streams) == 2)
        await api.delete(name)

    api.on_create = play
    with pytest.raises(CommandError, match="deleted"):
        await run(api, target)


async def test_waiting_for_last_lines_has_a_timeout(
    api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "_LAST_LINES", 0.05)

    async def play(name: str) -> None:
        await finish(api, name, "Succeeded", step_json("a"))
        api.done.clear()

    api.on_create = play
    api.done = set()
    monkeypatch.setattr(api, "finish_logs", lambda name: asyncio.sleep(0))
    assert await run(api, target) == 0
    assert "c8s logs hello-1" in capsys.readouterr().err


DEPLOY = {
    "name": "hello",
    "steps": [{"name": "ship", "secrets": [{"secretRef": "ssh", "key": "key"}, {"secretRef": "db", "key": "user"}]}],
}


async def deploy(target: Target, **options: Any) -> int:
    async with asyncio.timeout(60):
        return await RunSession(RunSubmission(RunRequest(DEPLOY), "k"), target, PLAIN, **options).run()


async def test_run_without_its_secrets_is_refused(api: FakeApi, target: Target) -> None:
    api.secrets["db"] = {"user": "me"}
    with pytest.raises(InputError, match=r"(?s)1 secret .* nothing was started.*c8s secrets set.* ssh key +# for ship"):
        await deploy(target)
    assert api.runs == {}


async def test_run_without_its_secrets_is_started_on_request(api: FakeApi, target: Target) -> None:
    async def play(name: str) -> None:
        await finish(api, name, "Succeeded", step_json("ship"))

    api.on_create = play
    assert await deploy(target, allow_missing_secrets=True) == 0


async def test_run_with_all_its_secrets_is_started(api: FakeApi, target: Target) -> None:
    async def play(name: str) -> None:
        await finish(api, name, "Succeeded", step_json("ship"))

    api.on_create = play
    api.secrets |= {"db": {"user": "me"}, "ssh": {"key": "k"}}
    assert await deploy(target) == 0


async def test_rerun_without_its_secrets_is_refused(api: FakeApi, target: Target) -> None:
    await api.publish(run_json("hello-1", "Failed", definition=DEPLOY, status={"steps": [step_json("ship", "Failed")]}))
    session = RunSession(RerunSubmission("hello-1", "k", from_failed=True), target, PLAIN)
    with pytest.raises(InputError, match="2 secrets that the run needs are missing"):
        await session.run()


async def test_secrets_of_reused_steps_may_be_missing(api: FakeApi, target: Target) -> None:
    await api.publish(run_json("hello-1", "Failed", definition=DEPLOY, status={"steps": [step_json("ship")]}))
    async with Client(cast(Any, target.endpoint)) as client:
        await require_secrets(client, RerunSubmission("hello-1", "k", from_failed=True), None, "")


async def test_secrets_that_may_not_be_listed_refuse_no_run(api: FakeApi, target: Target) -> None:
    refused: list[str] = []

    def refuse(request: Any) -> Any:
        if not request.path.endswith("/secrets"):
            return None
        refused.append(request.path)
        return problem(403, "no")

    api.refuse = refuse
    async with Client(cast(Any, target.endpoint)) as client:
        await require_secrets(client, RunSubmission(RunRequest(DEPLOY), "k"), None, "")
    assert len(refused) == 1


async def test_resumed_run_says_what_was_reused_and_why_not(
    api: FakeApi, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    def definition(command: str) -> dict[str, Any]:
        return {"name": "hello", "steps": [{"name": "test", "image": "a", "commands": [command]}]}

    async def play(name: str) -> None:
        reused = step_json("lint", attempts=[], reused={"run": "hello-0", "slug": "lint", "attempt": 1})
        end = {"steps": [reused, step_json("test", inputs="2")], "completionTime": "2026-01-01T00:00:03Z"}
        fields = {"reuseFrom": "hello-0", "definition": definition("true")}
        await api.publish(run_json(name, "Succeeded", status=end, **fields))
        await api.finish_logs(name)

    steps = [step_json("lint"), step_json("test", "Failed", inputs="1")]
    await api.publish(run_json("hello-0", "Failed", definition=definition("false"), status={"steps": steps}))
    api.on_create = play
    assert await run(api, target) == 0
    out = capsys.readouterr().out.splitlines()
    assert "1 of 2 reused, saved 2.30s (hello-0)" in out
    assert "  test ran again: failed in hello-0; commands: +true, -false" in out
