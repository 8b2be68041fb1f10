"""Agents that ask whether they may open the gate of their step."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.operator.gate import Opening
from tests.unit.controller.api.fakes import ApiServer, FakeGates, run_api
from tests.unit.controller.api.http.transfers import AGENT, run_with_step

GATE = f"{AGENT}/gate/later/1"
JOB = ("a", "ci-1--later-1", "uid-1")


def gates(api: ApiServer) -> FakeGates:
    assert isinstance(api.state.gates, FakeGates)
    return api.state.gates


async def test_gate_of_the_agents_own_job_is_open_once_that_says_so(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        gates(api).known[JOB] = None
        assert (await api.call("GET", f"{GATE}?job=uid-1", token="later")).json == {"open": False, "holds": []}
        gates(api).known[JOB] = Opening(datetime(2026, 1, 1, tzinfo=UTC), ("before",))
        assert (await api.call("GET", f"{GATE}?job=uid-1", token="later")).json == {"open": True, "holds": ["before"]}


async def test_gate_of_another_job_of_the_name_is_never_open(tmp_path: Path) -> None:
    """Its own was removed, and the step has begun in the pod of the other one."""
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        gates(api).known[JOB] = Opening(datetime(2026, 1, 1, tzinfo=UTC))
        assert (await api.call("GET", f"{GATE}?job=uid-0", token="later")).problem == (409, "conflict")


@pytest.mark.parametrize(("token", "status"), [("build", 403), ("aside", 403), ("clone", 403), ("nobody", 401)])
async def test_agent_of_another_step_learns_nothing(tmp_path: Path, token: str, status: int) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        gates(api).known[JOB] = Opening(datetime(2026, 1, 1, tzinfo=UTC))
        assert (await api.call("GET", f"{GATE}?job=uid-1", token=token)).status == status


async def test_gate_of_an_ended_run_is_never_open(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        gates(api).known[JOB] = Opening(datetime(2026, 1, 1, tzinfo=UTC))
        api.kubernetes.status("a", "ci-1", phase="Cancelled")
        assert (await api.call("GET", f"{GATE}?job=uid-1", token="later")).problem == (409, "conflict")


@pytest.mark.parametrize("query", ["", "?job=", "?job=a%20b", f"?job={'a' * 200}"])
async def test_job_has_to_be_named(tmp_path: Path, query: str) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        assert (await api.call("GET", f"{GATE}{query}", token="later")).status == 422
