"""The agent of a step whose pod was made ahead: what it does before the step is due, and when it never is."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.integration.agent.fake_api import FakeAgentApi, serving
from tests.integration.agent.pod import Pod, ended, packed
from tests.support.waiting import wait_until_async

JOB = {"C8S_EARLY_JOB": "uid-of-job"}


class GatedApi(FakeAgentApi):
    """The agent API with the gate of one Job."""

    def __init__(self) -> None:
        super().__init__()
        self.holds: list[str] = []
        self.is_open = asyncio.Event()
        self.asked: list[str] = []
        self.status = 200
        self.wait = 5.0

    async def _link(self, request: web.Request) -> web.Response:
        return await (self._gate if request.match_info["what"] == "gate/build/1" else super()._link)(request)

    async def _gate(self, request: web.Request) -> web.Response:
        self.asked.append(request.query["job"])
        if self.status != 200:
            return web.json_response({"title": "no", "detail": "the Job was removed"}, status=self.status)
        try:
            async with asyncio.timeout(self.wait):
                await self.is_open.wait()
        except TimeoutError:
            return web.json_response({"open": False, "holds": []})
        return web.json_response({"open": True, "holds": self.holds})


@pytest.fixture
async def api() -> AsyncIterator[GatedApi]:
    async with serving(GatedApi()) as found:
        yield found


@pytest.fixture
def pod(tmp_path: Path, api: GatedApi) -> Pod:
    found = Pod(tmp_path, api)
    found.role = "early-step"
    return found


async def asked(api: GatedApi, times: int = 1) -> None:
    await wait_until_async(lambda: len(api.asked) >= times, what="the agent waits at its gate")


async def test_source_is_fetched_ahead_and_artifacts_when_the_step_is_due(api: GatedApi, pod: Pod) -> None:
    api.serve("source", packed(a=b"a"))
    agent = await pod.start(**JOB, C8S_FETCH_SOURCE="1", C8S_FETCH_ARTIFACTS="first")
    await asked(api)
    assert (pod.workspace / "a").read_bytes() == b"a"
    assert not (pod.gate / "opened").exists()
    api.serve("artifacts/first", packed(b=b"b"))
    api.is_open.set()
    code, out = await pod.end(agent)
    assert (code, (pod.workspace / "b").read_bytes()) == (0, b"b")
    assert out.index("fetched the source") < out.index("fetched the artifacts of first")
    assert api.asked == ["uid-of-job"]


async def test_gate_stays_closed_while_the_api_says_nothing_else(api: GatedApi, pod: Pod) -> None:
    api.wait = 0.01
    agent = await pod.start(**JOB)
    await asked(api, 3)
    assert not (pod.gate / "opened").exists()
    api.is_open.set()
    assert (await pod.end(agent))[0] == 0


async def test_agent_waits_while_the_api_fails(api: GatedApi, pod: Pod) -> None:
    api.status = 503
    agent = await pod.start(**JOB)
    await asked(api, 2)
    api.status = 200
    api.is_open.set()
    code, out = await pod.end(agent)
    assert (code, "asked again in 1 s" in out) == (0, True)


async def test_agent_that_does_not_know_its_job_refuses(api: GatedApi, pod: Pod) -> None:
    """As on a cluster that does not label the pods of Jobs: no gate is opened before its step is due."""
    for job in ("", None):
        agent = await pod.start(**({} if job is None else {"C8S_EARLY_JOB": job}))
        assert await pod.pass_gate() == "refused"
        agent.send_signal(signal.SIGTERM)
        code, out = await ended(agent)
        assert (code, "C8S_EARLY_JOB is not set" in out, api.asked) == (3, True, [])


async def test_step_that_is_not_needed_is_refused(api: GatedApi, pod: Pod) -> None:
    api.status = 409
    agent = await pod.start(**JOB)
    assert await pod.pass_gate() == "refused"
    agent.send_signal(signal.SIGTERM)
    code, out = await ended(agent)
    assert (code, "the Job was removed" in out, "is not needed" in out) == (3, True, True)


async def test_agent_that_is_stopped_at_its_gate_ends_at_once(api: GatedApi, pod: Pod) -> None:
    agent = await pod.start(**JOB)
    await asked(api)
    agent.send_signal(signal.SIGTERM)
    code, _ = await ended(agent)
    assert (code, (pod.gate / "opened").exists()) == (143, False)


async def test_agent_that_is_started_again_at_its_gate_goes_on_waiting(api: GatedApi, pod: Pod) -> None:
    api.serve("source", packed(a=b"a"))
    first = await pod.start(**JOB, C8S_FETCH_SOURCE="1")
    await asked(api)
    first.kill()
    await first.wait()
    (pod.workspace / "a").write_bytes(b"changed")
    second = await pod.start(again=True, **JOB, C8S_FETCH_SOURCE="1")
    await asked(api, 2)
    api.is_open.set()
    code, out = await pod.end(second)
    assert (code, "fetched the source" in out, (pod.workspace / "a").read_bytes()) == (0, False, b"changed")


async def test_holds_come_with_the_opening(api: GatedApi, pod: Pod) -> None:
    api.holds = ["before", "failed"]
    api.is_open.set()
    agent = await pod.start(**JOB)
    await wait_until_async(lambda: api.reports and api.reports[-1].get("held") == "before", what="the hold")
    assert (pod.gate / "hold-failed").exists()
    assert (await pod.go_on("go"))[0] == 0
    assert await pod.pass_gate() == "open"
    code, _ = await pod.end_of(agent, "begin")
    assert code == 0


async def test_what_is_written_before_the_gate_opens_is_not_reported_before(api: GatedApi, pod: Pod) -> None:
    """The image of the step may hold anything, also as its shell."""
    agent = await pod.start(**JOB)
    await asked(api)
    pod.tell("begin")
    pod.tell("end 0")
    agent.send_signal(signal.SIGTERM)
    await ended(agent)
    assert api.reports == []
    assert not pod.message.exists() or "ended" not in json.loads(pod.message.read_text())
