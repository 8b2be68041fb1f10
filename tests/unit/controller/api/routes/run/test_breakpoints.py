"""Breakpoints of runs, and steps that go on. Their agents are in tests/integration/sandbox/test_gate.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller.api.routes.run import breakpoints
from controller.kube import PIPELINE_RUNS
from controller.kube.exec import ExitStatus
from controller.operator.names import AGENT_CONTAINER
from tests.unit.controller.api.fakes import BOB, run_api
from tests.unit.controller.api.http.transfers import run_with_step

RUN = "/api/v1/namespaces/a/runs/ci-1"


async def test_breakpoints_of_a_run_are_replaced(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        body = {"breakpoints": [{"step": "build", "at": "failed"}, {"step": "later"}]}
        assert (await api.call("PUT", f"{RUN}/breakpoints", json=body)).status == 200
        spec = api.kubernetes.objects[PIPELINE_RUNS, "a", "ci-1"]["spec"]
        assert spec["breakpoints"] == [{"step": "build", "at": "failed"}, {"step": "later", "at": "before"}]
        shown = (await api.call("GET", RUN)).json["breakpoints"]
        assert shown == [{"step": "build", "at": "failed"}, {"step": "later", "at": "before"}]
        api.kubernetes.status("a", "ci-1", phase="Failed")
        assert (await api.call("PUT", f"{RUN}/breakpoints", json=body)).problem == (409, "conflict")


@pytest.mark.parametrize(
    "breakpoints",
    [[{"step": "nosuch"}], [{"step": "buil"}], [{"step": "build", "at": "never"}], [{"step": ""}], "build"],
)
async def test_unknown_breakpoints_are_refused(tmp_path: Path, breakpoints: Any) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        assert (await api.call("PUT", f"{RUN}/breakpoints", json={"breakpoints": breakpoints})).status == 422


async def test_step_without_a_pod_is_not_held(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        answer = await api.call("POST", f"{RUN}/steps/build/continue", json={"action": "go"})
        assert answer.problem == (409, "conflict")
        assert (await api.call("POST", f"{RUN}/steps/nosuch/continue", json={})).problem == (404, "not-found")
        assert (await api.call("POST", f"{RUN}/steps/build/continue", json={"action": "x"})).status == 422


async def test_who_may_not_change_a_run_continues_none_of_its_steps(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        assert (await api.call("POST", f"{RUN}/steps/build/continue", token=BOB, json={})).status == 403
        assert (await api.call("PUT", f"{RUN}/breakpoints", token=BOB, json={"breakpoints": []})).status == 403


async def test_rerun_has_breakpoints_of_its_own(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        assert (await api.call("PUT", f"{RUN}/breakpoints", json={"breakpoints": [{"step": "later"}]})).status == 200
        api.kubernetes.status("a", "ci-1", phase="Failed")
        plain = await api.call("POST", f"{RUN}/rerun", json={})
        assert plain.json["breakpoints"] == []
        held = await api.call("POST", f"{RUN}/rerun", json={"breakpoints": [{"step": "build", "at": "failed"}]})
        assert held.json["breakpoints"] == [{"step": "build", "at": "failed"}]
        refused = await api.call("POST", f"{RUN}/rerun", json={"breakpoints": [{"step": "nosuch"}]})
        assert refused.status == 422


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [(0, "Held", 202), (137, "Completed", 202), (None, None, 202), (137, "Held", 409), (1, "Completed", 409)],
)
async def test_step_that_ends_before_the_answer_has_gone_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None, reason: str | None, status: int
) -> None:
    async def pod(*_: Any) -> dict[str, Any]:
        return {
            "metadata": {"name": "p"},
            "spec": {"initContainers": [{"name": AGENT_CONTAINER, "command": ["a", "b"]}]},
        }

    async def answer(*_: Any) -> ExitStatus:
        return ExitStatus(code)

    monkeypatch.setattr(breakpoints, "find_step_pod", pod)
    monkeypatch.setattr(breakpoints, "_run_in_agent", answer)
    monkeypatch.setattr(breakpoints, "_STATUS_INTERVAL", 0.001)
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        step = {"name": "build", "slug": "build", "reason": reason, "attempts": [{"number": 1}]}
        api.kubernetes.status("a", "ci-1", phase="Running", steps=[step])
        assert (await api.call("POST", f"{RUN}/steps/build/continue", json={"action": "go"})).status == status
