"""What is about the API itself: health, metrics, its description, and how errors of what it uses are reported."""

import json
import logging
from pathlib import Path

import pytest

from controller.api.app import to_problem
from controller.kube import ForbiddenError, KubeError, UnauthorizedError, UnreachableError
from controller.metrics.duration_histogram import DurationHistogram
from controller.storage import StoreFullError, StoreUnavailableError
from tests.unit.controller.api.fakes import ANN, OPS, run_api

DOCS = Path(__file__).parents[5] / "docs"


async def test_metrics_are_labelled_by_route_not_by_name(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        metrics = api.state.metrics
        durations = DurationHistogram("c8s_step_duration_seconds", "Steps.", "phase", (1.0, 2.0))
        durations.observe("Failed", 1.5)
        metrics.add_gauge("c8s_runs", "Runs.", "phase", lambda: {"Running": 2})
        metrics.add_counter("c8s_log_bytes", "Bytes.", "state", lambda: {"kept": 7})
        metrics.add_histogram(durations)
        await api.call("GET", "/api/v1/namespaces/a/runs/some-run-7")
        await api.call("GET", "/no/such/path")
        assert (await api.call("GET", "/metrics", token=ANN)).problem == (403, "forbidden")
        text = (await api.call("GET", "/metrics", token=OPS)).body.decode()
        route = "/api/v1/namespaces/{ns}/runs/{run}"
        assert f'c8s_api_requests_total{{method="GET",route="{route}",status="404"}} 1.0' in text
        assert 'c8s_api_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
        assert f'c8s_api_request_duration_seconds_count{{method="GET",route="{route}"}} 1.0' in text
        assert 'c8s_runs{phase="Running"} 2.0' in text
        assert 'c8s_log_bytes_total{state="kept"} 7.0' in text
        assert 'c8s_step_duration_seconds_bucket{le="1.0",phase="Failed"} 0.0' in text
        assert 'c8s_step_duration_seconds_bucket{le="2.0",phase="Failed"} 1.0' in text
        assert "some-run" not in text
        assert "_created" not in text


async def test_the_served_description_is_the_committed_one(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        served = (await api.call("GET", "/openapi.json")).json
        assert served == json.loads((DOCS / "openapi.json").read_text())


async def test_not_ready_is_503_and_says_why(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        assert (await api.call("GET", "/readyz", token=None)).status == 200
        api.state.readiness.set_waiting("kubernetes", "no answer")
        answer = await api.call("GET", "/readyz", token=None, headers={"Host": "10.0.0.7"})
        assert (answer.status, answer.json["waitingFor"][0]["part"]) == (503, "kubernetes")


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (UnreachableError("GET http://10.0.0.1: refused"), (503, "unavailable")),
        (ForbiddenError("secrets is forbidden: the-controllers-name"), (502, "cluster-refused")),
        (UnauthorizedError("token abc"), (502, "cluster-refused")),
        (KubeError("odd"), (502, "cluster-refused")),
        (StoreFullError("/var/secret/path"), (503, "unavailable")),
        (StoreUnavailableError("/var/secret/path"), (503, "unavailable")),
        (RuntimeError("password hunter2"), (500, "internal")),
    ],
)
async def test_errors_from_below_keep_their_words_to_themselves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception, problem: tuple[int, str]
) -> None:
    assert str(error) not in to_problem(error).detail
    with caplog.at_level(logging.CRITICAL):
        async with run_api(tmp_path) as api:
            api.kubernetes.failure = error
            answer = await api.call("GET", "/api/v1/namespaces/a/runs")
            assert answer.problem == problem
            assert str(error) not in answer.body.decode()
            api.kubernetes.failure = None
            assert (await api.call("GET", "/api/v1/namespaces/a/runs")).status == 200


async def test_cluster_lists_only_permitted_namespaces(tmp_path: Path) -> None:
    from controller.kube import NAMESPACES, NODES

    async with run_api(tmp_path) as api:
        for name in ("a", "b"):
            await api.kubernetes.create(NAMESPACES, {"metadata": {"name": name}})
        node = {"metadata": {"name": "n"}, "status": {"nodeInfo": {"containerRuntimeVersion": "process://0.1"}}}
        await api.kubernetes.create(NODES, node)
        found = (await api.call("GET", "/api/v1/cluster")).json
        assert found == {"runtime": "process://0.1", "images": "ignored", "version": "v1.36.2", "namespaces": ["a"]}


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_a_method_that_is_not_taken_is_a_problem(tmp_path: Path, method: str) -> None:
    async with run_api(tmp_path) as api:
        assert (await api.call(method, "/api/v1/lint")).problem == (405, "method-not-allowed")
