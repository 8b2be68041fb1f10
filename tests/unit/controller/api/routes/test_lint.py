"""Lint, and the same checks at the creation of a run."""

from pathlib import Path
from typing import Any

import pytest

from controller.worker import LimitedWorker, WorkLimits
from tests.unit.controller.api.fakes import run_api
from tests.unit.controller.api.routes.test_runs import HELLO, RUNS, STEP

GOOD = """\
version: v1alpha1
name: hello
branches: [main]
steps:
  - {name: say, image: busybox:1, commands: [echo hello]}
"""


async def test_a_finding_has_its_place(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        answer = await api.call("POST", "/api/v1/lint", json={"text": GOOD.replace("image", "imag")})
        found = [each for each in answer.json["problems"] if each["code"] == "unknown-field"]
        assert (found[0]["line"], found[0]["column"], found[0]["severity"]) == (5, 17, "error")
        assert "image" in found[0]["hint"]
        assert "wouldRun" not in answer.json


@pytest.mark.parametrize(("branch", "runs"), [("main", True), ("other", False)])
async def test_an_event_is_judged(tmp_path: Path, branch: str, runs: bool) -> None:
    async with run_api(tmp_path) as api:
        body = {"text": GOOD, "event": "push", "branch": branch}
        answer = (await api.call("POST", "/api/v1/lint", json=body)).json
        assert answer["wouldRun"]["runs"] is runs
        assert not [each for each in answer["problems"] if each["severity"] == "error"]


BOMBS = ["a: " + "[ " * 400_000, "a: " + "{a: " * 200_000, "- " * 400_000, "? " * 400_000]


@pytest.mark.parametrize("text", ["", "\t", "a: [", "- 1", "&a [*a]", "\x00", "x" * 999_999, *BOMBS], ids=range(11))
async def test_any_text_is_answered(tmp_path: Path, text: str) -> None:
    async with run_api(tmp_path) as api:
        answer = await api.call("POST", "/api/v1/lint", json={"text": text})
        assert (answer.status, bool(answer.json["problems"])) == (200, True)


@pytest.mark.timeout(10)
async def test_a_branch_glob_can_not_keep_the_controller_busy(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        body = {"text": GOOD.replace("[main]", f"['{'*a' * 40}b']"), "event": "push", "branch": "a" * 255}
        assert (await api.call("POST", "/api/v1/lint", json=body)).json["wouldRun"]["runs"] is False


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"steps": [{**STEP, "dependsOn": ["nosuch"]}]}, "steps[0].dependsOn[0]"),
        ({"steps": [STEP, STEP]}, "steps[1].name"),
        ({"steps": [{**STEP, "cache": [{"key": "k", "paths": ["../p"]}]}]}, "steps[0].cache[0].paths[0]"),
        ({"stepz": []}, "stepz"),
    ],
)
async def test_a_pipeline_that_is_not_valid_makes_no_run(tmp_path: Path, change: dict[str, Any], path: str) -> None:
    async with run_api(tmp_path) as api:
        answer = await api.call("POST", RUNS, json={"pipeline": {**HELLO, **change}})
        assert answer.problem == (422, "pipeline-invalid")
        assert path in [each["path"] for each in answer.json["problems"]]
        assert all(each["line"] is None for each in answer.json["problems"])
        assert api.kubernetes.objects == {}


async def test_parameters_are_resolved_and_checked(tmp_path: Path) -> None:
    pipeline = {**HELLO, "params": [{"name": "target", "default": "dev", "options": ["dev", "prod"]}]}
    async with run_api(tmp_path) as api:
        assert (await api.call("POST", RUNS, json={"pipeline": pipeline})).json["params"] == {"target": "dev"}
        for params in ({"target": "moon"}, {"traget": "dev"}):
            answer = await api.call("POST", RUNS, json={"pipeline": pipeline, "params": params})
            assert answer.problem == (422, "pipeline-invalid")
            assert answer.json["problems"][0]["path"] == f"params.{next(iter(params))}"


async def test_env_is_normalised_and_the_version_left_out(tmp_path: Path) -> None:
    pipeline = {**HELLO, "env": [{"name": "A", "value": "1"}]}
    async with run_api(tmp_path) as api:
        definition = (await api.call("POST", RUNS, json={"pipeline": pipeline})).json["definition"]
        assert definition["env"] == {"A": "1"}
        assert "version" not in definition
        assert definition["steps"] == [STEP]


LARGE = GOOD.replace("echo hello", "x" * 70_000)


async def test_a_large_file_is_checked_in_a_process_of_its_own(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        answer = await api.call("POST", "/api/v1/lint", json={"text": LARGE + "nosuch: 1\n"})
        assert "unknown-field" in [each["code"] for each in answer.json["problems"]]


async def test_an_invalid_large_pipeline_is_reported_like_a_small_one(tmp_path: Path) -> None:
    steps = [{**STEP, "commands": ["x" * 70_000], "dependsOn": ["nosuch"]}]
    async with run_api(tmp_path) as api:
        answer = await api.call("POST", RUNS, json={"pipeline": {**HELLO, "steps": steps}})
        assert answer.problem == (422, "pipeline-invalid")
        assert answer.json["problems"][0]["path"] == "steps[0].dependsOn[0]"


async def test_a_file_that_takes_too_long_is_refused(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        api.state.worker = LimitedWorker(WorkLimits(wall_seconds=0.01))
        answer = await api.call("POST", "/api/v1/lint", json={"text": LARGE})
        assert answer.problem == (422, "pipeline-invalid")
        assert "it took longer than 0.01 s" in answer.json["detail"]


async def test_large_files_are_refused_for_now_while_others_are_checked(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        api.state.worker = LimitedWorker(max_processes=0)
        answer = await api.call("POST", "/api/v1/lint", json={"text": LARGE})
        assert answer.problem == (503, "unavailable")
        assert (await api.call("POST", "/api/v1/lint", json={"text": GOOD})).status == 200
