"""Steps that breakpoints hold, as their agents see them."""

import json

import pytest

from tests.integration.agent.fake_api import FakeAgentApi
from tests.integration.agent.pod import Pod, packed
from tests.support.waiting import wait_until_async


async def held(api: FakeAgentApi, at: str | None) -> None:
    await wait_until_async(lambda: api.reports and api.reports[-1].get("held") == at, what=f"a hold {at}")


async def test_step_is_held_before_its_commands_until_it_is_continued(api: FakeAgentApi, pod: Pod) -> None:
    api.serve("source", packed(a=b"a"))
    agent = await pod.start(C8S_FETCH_SOURCE="1", C8S_HOLD="before,failed")
    await held(api, "before")
    assert (pod.workspace / "a").exists(), "who enters it finds its files"
    assert [path.name for path in sorted(pod.gate.glob("hold-*"))] == ["hold-before", "hold-failed"]
    assert (await pod.go_on("retry"))[0] == 4, "nothing has run yet"
    assert (await pod.go_on("go"))[0] == 0
    assert (await pod.go_on("go"))[0] == 4, "it is not held any more"
    assert await pod.pass_gate() == "open"
    pod.tell("begin")
    await held(api, None)
    code, _ = await pod.end_of(agent, "end 0")
    assert code == 0


@pytest.mark.parametrize("action", ["go", "retry", "accept"])
async def test_step_is_held_when_it_failed(api: FakeAgentApi, pod: Pod, action: str) -> None:
    agent = await pod.start(C8S_HOLD="failed")
    assert await pod.pass_gate() == "open"
    pod.tell("begin")
    pod.tell("held 3")
    await held(api, "failed")
    began = api.reports[-1]["began"]
    assert (api.reports[-1]["code"], "ended" in api.reports[-1]) == (3, False)
    assert (await pod.go_on(action))[0] == 0
    assert await pod.pass_gate() == action
    if action == "retry":
        pod.tell("begin")
        await held(api, None)
        assert api.reports[-1]["began"] > began, "its time limit counts from there"
    code, _ = await pod.end_of(agent, "end 0")
    assert (code, json.loads(pod.message.read_text())["code"]) == (0, 0)


async def test_hold_outlives_its_agent(api: FakeAgentApi, pod: Pod) -> None:
    first = await pod.start(C8S_HOLD="before")
    await held(api, "before")
    first.kill()
    await first.wait()
    api.reports.clear()
    second = await pod.start(again=True, C8S_HOLD="before")
    await held(api, "before")
    assert (await pod.go_on("go"))[0] == 0
    assert await pod.pass_gate() == "open"
    code, _ = await pod.end_of(second, "begin")
    assert code == 0
