"""The caches of a step, as its agent restores and saves them."""

import asyncio
import json
import signal
from typing import Any

import pytest

from tests.integration.agent.fake_api import FakeAgentApi
from tests.integration.agent.pod import Pod, ended, packed


class Step:
    """A step with caches."""

    def __init__(self, pod: Pod, *caches: dict[str, Any]) -> None:
        self.pod = pod
        self.environment = {"C8S_CACHES": json.dumps(caches)}
        self.agent: asyncio.subprocess.Process | None = None

    async def begin(self) -> None:
        self.agent = await self.pod.start(**self.environment)
        assert await self.pod.pass_gate() == "open"

    async def end(self, exit_code: int | None = 0) -> str:
        """What the agent has printed."""
        assert self.agent is not None
        if exit_code is not None:
            self.pod.tell("begin")
            self.pod.tell(f"end {exit_code}")
        self.agent.send_signal(signal.SIGTERM)
        code, out = await ended(self.agent)
        assert code == 0, out
        return out


async def test_cache_is_saved_by_one_step_and_restored_for_the_next(api: FakeAgentApi, pod: Pod) -> None:
    step = Step(pod, {"key": "go-{{hash go.*}}", "paths": [".cache", "missing"]})
    (pod.workspace / "go.sum").write_text("one")
    await step.begin()
    (pod.workspace / ".cache").mkdir()
    (pod.workspace / ".cache" / "module").write_text("downloaded")
    out = await step.end()
    assert "not found" in out
    assert "saved 1 file," in out
    (pod.workspace / ".cache" / "module").unlink()
    await step.begin()
    assert (pod.workspace / ".cache" / "module").read_text() == "downloaded"
    out = await step.end()
    assert "1 file," in out
    assert "saved" not in out, "a restored cache is not saved again"
    (pod.workspace / "go.sum").write_text("two")
    await step.begin()
    assert "not found" in await step.end(1)
    assert len(api.caches) == 1


@pytest.mark.parametrize("exit_code", [1, 143, None])
async def test_unsuccessful_step_saves_no_cache(api: FakeAgentApi, pod: Pod, exit_code: int | None) -> None:
    step = Step(pod, {"key": "k", "paths": ["json"]})
    await step.begin()
    await step.end(exit_code)
    assert api.caches == {}


async def test_cache_errors_do_not_fail_the_step(api: FakeAgentApi, pod: Pod) -> None:
    caches: list[dict[str, Any]] = [
        {"key": "no-{{hash go.sum}}", "paths": ["json"]},
        {"key": "nothing", "paths": ["missing"]},
        {"key": "broken", "paths": ["json"]},
        {"key": "large", "paths": ["json"]},
        {"key": "out", "paths": ["../token"]},
    ]
    step = Step(pod, *caches)
    api.caches["broken"] = "0" * 64
    api.objects[f"cache-{'0' * 64}"] = packed(json_new=b"never")
    api.cache_limit = 1
    await step.begin()
    assert not (pod.workspace / "json" / "new").exists()
    out = await step.end()
    assert "cache no-{{hash go.sum}}: not used: {{hash go.sum}} matches no file" in out
    assert "cache broken: not used: the download of the cache is damaged" in out
    assert "cache nothing: not saved: none of its paths exists" in out
    assert "cache large: not saved: POST caches was refused with 413: too much" in out
    assert "cache out: not saved: none of its paths exists" in out
    assert list(api.caches) == ["broken"]
