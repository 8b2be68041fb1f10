"""Commands in steps: what a person may say, which pod is meant, and how Kubernetes tells an end."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.http.problems import ApiProblemError
from controller.api.routes.run.exec import find_step_pod, newest_running, parse_control
from controller.kube import JOBS, PIPELINE_RUNS, PODS
from controller.kube.exec import ExitStatus, parse_exit_status
from tests.unit.controller.api.fakes import run_api


def pod(name: str, attempt: str, phase: str = "Running") -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"c8s.dev/attempt": attempt}}, "status": {"phase": phase}}


def test_the_running_pod_of_the_last_attempt_is_meant() -> None:
    found = newest_running([pod("a", "2"), pod("c", "10"), pod("b", "11", "Failed")])
    assert found is not None
    assert found["metadata"]["name"] == "c"
    assert newest_running([pod("a", "1", "Pending")]) is None


async def test_only_a_pod_that_the_job_of_the_attempt_controls_is_entered(tmp_path: Path) -> None:
    """Anyone who may create pods can give them the labels of a step."""
    own = {"c8s.dev/run": "ci-1", "c8s.dev/step": "a", "c8s.dev/attempt": "1"}

    def made(name: str, uid: str, owner: tuple[str, str] | None) -> dict[str, Any]:
        owners = [{"kind": owner[0], "uid": owner[1], "controller": True}] if owner is not None else []
        metadata = {"name": name, "namespace": "a", "uid": uid, "labels": own, "ownerReferences": owners}
        return {"metadata": metadata, "status": {"phase": "Running"}}

    async with run_api(tmp_path) as api:
        run = await api.kubernetes.create(
            PIPELINE_RUNS, {"metadata": {"name": "ci-1", "namespace": "a"}, "spec": {}}, "a"
        )
        status = {"steps": [{"name": "a", "slug": "a"}]}
        found = {**run, "status": status}
        forged = made("forged", "uid-forged", None), made("forged-too", "uid-2", ("Job", "uid-of-another-job"))
        others_job = made("ci-1--a-1", "uid-of-another-job", ("PipelineRun", "uid-of-an-earlier-ci-1"))
        for each in forged:
            api.kubernetes.objects[PODS, "a", each["metadata"]["name"]] = each
        api.kubernetes.objects[JOBS, "a", "ci-1--a-1"] = others_job
        with pytest.raises(ApiProblemError) as refused:
            await find_step_pod(api.state, found, "a")
        assert "has no running pod" in refused.value.detail
        api.kubernetes.objects[JOBS, "a", "ci-1--a-1"] = made("ci-1--a-1", "uid-job", ("PipelineRun", "uid-of-ci-1"))
        api.kubernetes.objects[PODS, "a", "genuine"] = made("genuine", "uid-3", ("Job", "uid-job"))
        assert (await find_step_pod(api.state, found, "a"))["metadata"]["name"] == "genuine"


def test_a_terminal_is_resized_and_input_ended() -> None:
    assert parse_control('{"type": "resize", "columns": 80, "rows": 24}') == ("resize", 80, 24)
    assert parse_control('{"type": "eof"}') == ("eof", 0, 0)


@pytest.mark.parametrize(
    "text",
    ['{"type":"resize","columns":0,"rows":1}', '{"type":"resize","columns":1e9,"rows":1}', "[]", "{", "[" * 99_999],
)
def test_invalid_control_frames_are_ignored(text: str) -> None:
    assert parse_control(text) is None


@given(st.text())
def test_no_text_breaks_the_conversation(text: str) -> None:
    parse_control(text)


@given(st.integers(1, 255))
def test_an_exit_code_is_read_from_the_verdict(code: int) -> None:
    causes = [{"reason": "ExitCode", "message": str(code)}]
    status = {"status": "Failure", "reason": "NonZeroExitCode", "message": "m", "details": {"causes": causes}}
    assert parse_exit_status(json.dumps(status).encode()) == ExitStatus(code, "m")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"status": "Success"}', ExitStatus(0)),
        (
            b'{"status": "Failure", "reason": "InternalError", "message": "no such file"}',
            ExitStatus(None, "no such file"),
        ),
        (b'{"status": "Failure", "reason": "NonZeroExitCode", "message": "m"}', ExitStatus(None, "m")),
        (b"nonsense", ExitStatus(None, "the server's exit status is not readable")),
        (b"[]", ExitStatus(None, "the server's exit status is not readable")),
    ],
)
def test_ends_of_all_kinds(data: bytes, found: ExitStatus) -> None:
    assert parse_exit_status(data) == found
