"""What the agent of a step reports, and what it does when it is ended or started again."""

import json
import signal

import pytest

from tests.integration.agent.fake_api import FakeAgentApi
from tests.integration.agent.pod import Pod, ended, packed
from tests.support.waiting import wait_until_async


async def test_step_that_goes_on_is_reported_when_it_has_begun(api: FakeAgentApi, pod: Pod) -> None:
    agent = await pod.start()
    assert await pod.pass_gate() == "open"
    assert api.reports == [], "it may have to wait for its image"
    pod.tell("begin")
    await wait_until_async(lambda: api.reports, what="the report of the begin")
    assert set(api.reports[0]) == {"began"}
    code, out = await pod.end_of(agent, "end 3")
    assert (code, out) == (0, "")
    left = json.loads(pod.message.read_text())
    assert (left["began"], left["code"]) == (api.reports[0]["began"], 3)
    assert left["began"] < left["ended"]


async def test_artifacts_are_stored_and_reported_before_the_kubelet_notices_the_end(
    api: FakeAgentApi, pod: Pod
) -> None:
    (pod.workspace / "a").write_bytes(b"a")
    agent = await pod.start(C8S_ARTIFACTS='["a"]')
    assert await pod.pass_gate() == "open"
    pod.tell("begin")
    pod.tell("end 0")
    await wait_until_async(lambda: any("ended" in each for each in api.reports), what="the report of the end")
    assert "build" in api.manifests
    assert (api.reports[-1]["code"], api.reports[-1]["stored"]) == (0, True)
    assert agent.returncode is None, "a sidecar that ends would be started again"
    agent.send_signal(signal.SIGTERM)
    assert (await ended(agent))[0] == 0


async def test_end_that_the_kubelet_notices_at_once_is_not_reported(api: FakeAgentApi, pod: Pod) -> None:
    code, _ = await pod.run("0")
    assert (code, api.reports) == (0, [])
    assert json.loads(pod.message.read_text())["code"] == 0


async def test_missing_artifacts_are_reported_and_fail_the_agent_at_the_end(api: FakeAgentApi, pod: Pod) -> None:
    agent = await pod.start(C8S_ARTIFACTS='["missing"]')
    assert await pod.pass_gate() == "open"
    pod.tell("begin")
    pod.tell("end 0")
    await wait_until_async(lambda: any("ended" in each for each in api.reports), what="the report of the end")
    assert api.reports[-1]["stored"] is False
    agent.send_signal(signal.SIGTERM)
    code, out = await ended(agent)
    assert (code, "c8s agent: the artifacts glob missing matches no file" in out) == (1, True)


@pytest.mark.parametrize("status", [409, 503])
async def test_report_that_is_not_taken_fails_nothing(api: FakeAgentApi, pod: Pod, status: int) -> None:
    api.report_status = status
    agent = await pod.start()
    assert await pod.pass_gate() == "open"
    pod.tell("begin")
    pod.tell("end 0")
    await wait_until_async(lambda: api.reports, what="a report")
    agent.send_signal(signal.SIGTERM)
    code, out = await ended(agent)
    assert (code, "is not reported" in out) == (0, status == 409)


async def test_forged_reports_do_not_disturb_the_agent(api: FakeAgentApi, pod: Pod) -> None:
    agent = await pod.start()
    assert await pod.pass_gate() == "open"
    for line in (
        "end 0",
        "",
        "x" * 100_000,
        "end x",
        "end 1234",
        "end -1",
        "begin",
        "begin",
        "end \x00",
        "end 7",
        "end 0",
    ):
        pod.tell(line)
    agent.send_signal(signal.SIGTERM)
    code, _ = await ended(agent)
    assert (code, json.loads(pod.message.read_text())["code"]) == (0, 7)


async def test_agent_that_was_ended_while_it_fetched_refuses_the_step(api: FakeAgentApi, pod: Pod) -> None:
    """It would unpack over what the first one left."""
    pod.gate.mkdir()
    (pod.gate / "fetching-source").write_text("2026-11-29T10:00:00Z")
    agent = await pod.start(again=True, C8S_FETCH_SOURCE="1")
    assert await pod.pass_gate() == "refused"
    agent.send_signal(signal.SIGTERM)
    code, out = await ended(agent)
    assert (code, "was ended while it fetched" in out) == (3, True)


async def test_agent_that_is_started_again_beside_the_step_fetches_nothing(api: FakeAgentApi, pod: Pod) -> None:
    first = await pod.start()
    assert await pod.pass_gate() == "open"
    pod.tell("begin")
    await wait_until_async((pod.gate / "began").exists, what="the begin")
    first.kill()
    await first.wait()
    (pod.workspace / "a").write_bytes(b"a")
    second = await pod.start(again=True, C8S_FETCH_SOURCE="1", C8S_ARTIFACTS='["a"]')

    def is_reported() -> bool:
        # What is written while no agent listens is lost.
        pod.tell("end 0")
        return bool(api.reports and "ended" in api.reports[-1])

    await wait_until_async(is_reported, what="the report of the end")
    second.send_signal(signal.SIGTERM)
    code, out = await ended(second)
    assert (code, "fetched" in out, "build" in api.manifests) == (0, False, True)


async def test_agent_with_services_behind_it_ends_when_it_cannot_fetch(api: FakeAgentApi, pod: Pod) -> None:
    """They start once it has fetched, and the step after them; so nobody would ask it to end."""
    environment = {"C8S_FETCH_SOURCE": "1", "C8S_GATED_SERVICES": "1"}
    code, out = await ended(await pod.start(**environment))
    assert (code, "no source" in out) == (3, True)
    code, out = await ended(await pod.start(again=True, **environment))
    assert (code, "no source" in out) == (3, True), "also when it is started again"


async def test_agent_that_is_stopped_while_it_fetches_ends_at_once(api: FakeAgentApi, pod: Pod) -> None:
    api.serve("source", packed(a=b"a"))
    api.fail = 1000
    agent = await pod.start(C8S_FETCH_SOURCE="1")
    await wait_until_async(lambda: api.fail < 1000, what="the first try")
    agent.send_signal(signal.SIGTERM)
    assert (await ended(agent))[0] == 143
