"""What agents report of their steps, noted at the Jobs of their attempts."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.kube import JOBS
from tests.unit.controller.api.fakes import ApiServer, run_api
from tests.unit.controller.api.http.transfers import AGENT, run_with_step

PATH = f"{AGENT}/reports/build/1"


async def add_job(api: ApiServer, owner: str | None = None) -> None:
    run = next(found for (_, _, name), found in api.kubernetes.objects.items() if name == "ci-1")
    metadata = {
        "name": "ci-1--build-1",
        "namespace": "a",
        "annotations": {"c8s.dev/step-name": "build"},
        "ownerReferences": [{"uid": owner or run["metadata"]["uid"]}],
    }
    await api.kubernetes.create(JOBS, {"metadata": metadata}, "a")


def noted(api: ApiServer) -> Any:
    annotations = api.kubernetes.objects[JOBS, "a", "ci-1--build-1"]["metadata"]["annotations"]
    return json.loads(annotations.get("c8s.dev/agent-report", "null"))


async def test_report_is_noted_at_the_job(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        await add_job(api)
        began = (api.state.utc_now() - timedelta(seconds=5)).isoformat()
        assert (await api.call("PUT", PATH, token=token, json={"began": began})).status == 204
        assert set(noted(api)) == {"began"}
        report = {"began": began, "ended": began, "code": 0, "stored": True}
        assert (await api.call("PUT", PATH, token=token, json=report)).status == 204
        assert (noted(api)["code"], noted(api)["stored"]) == (0, True)


async def test_clock_of_a_node_that_is_ahead_is_not_believed(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        await add_job(api)
        later = (api.state.utc_now() + timedelta(hours=5)).isoformat()
        assert (await api.call("PUT", PATH, token=token, json={"began": later})).status == 204
        assert noted(api)["began"] < later


async def test_report_for_a_job_of_another_run_is_refused(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        assert (await api.call("PUT", PATH, token=token, json={})).problem == (404, "not-found")
        await add_job(api, owner="of-an-earlier-run")
        assert (await api.call("PUT", PATH, token=token, json={})).problem == (409, "conflict")
        assert noted(api) is None


@pytest.mark.parametrize("body", [{"code": -1}, {"code": 1000}, {"began": "2026-01-01T00:00:00"}, {"message": "x"}])
async def test_malformed_report_is_refused(tmp_path: Path, body: dict[str, Any]) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        await add_job(api)
        assert (await api.call("PUT", PATH, token=token, json=body)).status == 422
        assert noted(api) is None


async def test_report_of_another_attempt_is_refused(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        for place, with_token in (("build/2", token), ("later/1", token), ("build/1", "clone")):
            answer = await api.call("PUT", f"{AGENT}/reports/{place}", token=with_token, json={})
            assert answer.problem == (403, "forbidden"), place
