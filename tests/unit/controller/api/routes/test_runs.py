"""Runs over HTTP: create, read back, list, cancel, delete."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from controller.kube import CONFIG_MAPS, PIPELINE_RUNS, UnreachableError
from tests.unit.controller.api.fakes import BOB, ApiServer, run_api

RUNS = "/api/v1/namespaces/a/runs"
STEP = {"name": "say", "image": "busybox:1", "commands": ["echo hello"]}
HELLO: dict[str, Any] = {"version": "v1alpha1", "name": "hello", "steps": [STEP]}


async def create(api: ApiServer, key: str | None = None, **body: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return await api.call("POST", RUNS, json={"pipeline": HELLO, **body}, headers=headers)


async def test_a_run_is_created_numbered_and_read_back(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        answer = await create(api, branch="main", params={})
        assert (answer.status, answer.headers["Location"]) == (201, f"{RUNS}/hello-1")
        run = answer.json
        assert run["name"] == "hello-1"
        assert run["number"] == 1
        assert run["branch"] == "main"
        assert run["triggeredBy"] == "ann"
        assert run["definition"]["steps"][0]["name"] == "say"
        assert run["status"] == {"phase": "Pending"}
        assert (await api.call("GET", f"{RUNS}/hello-1")).json["uid"] == run["uid"]
        assert (await create(api)).json["name"] == "hello-2"


async def test_a_run_that_the_cache_does_not_know_yet_is_found(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        api.kubernetes.lagging = True
        await create(api)
        assert (await api.call("GET", f"{RUNS}/hello-1")).status == 200


async def test_a_number_is_never_given_twice(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create(api)
        assert (await api.call("DELETE", f"{RUNS}/hello-1")).status == 204
        assert (await create(api)).json["name"] == "hello-2"
        answers = await asyncio.gather(*(create(api) for _ in range(60)))
        assert sorted(answer.json["number"] for answer in answers) == list(range(3, 63))


async def test_a_lost_config_map_gives_no_old_number(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        for _ in range(3):
            await create(api)
        api.kubernetes.objects = {
            key: found for key, found in api.kubernetes.objects.items() if key[0] == PIPELINE_RUNS
        }
        assert (await create(api)).json["name"] == "hello-4"


@pytest.mark.parametrize(
    ("name", "number", "next_name"),
    [
        ("big", "99999999999", "hello-1"),
        ("hello-99999999999", "99999999999", "hello-1"),
        ("hello-999999999", "999999999", "hello-1"),
        ("other-9", "9", "hello-1"),
        ("hello-9", "9", "hello-10"),
    ],
)
async def test_labels_of_others_use_up_no_numbers(tmp_path: Path, name: str, number: str, next_name: str) -> None:
    async with run_api(tmp_path) as api:
        labels = {"c8s.dev/pipeline": "hello", "c8s.dev/run-number": number}
        run = {"metadata": {"name": name, "namespace": "a", "labels": labels}, "spec": {}}
        await api.kubernetes.create(PIPELINE_RUNS, run, "a")
        assert (await create(api)).json["name"] == next_name


async def test_created_runs_are_signed_and_their_creator_is_shown(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        assert (await create(api, triggeredBy="cfo")).json["createdBy"] is None
        stored = api.kubernetes.objects[(PIPELINE_RUNS, "a", "hello-1")]
        assert api.state.creator_proofs.creator(stored) == "ann"
        api.kubernetes.status("a", "hello-1", phase="Running", createdBy="ann")
        shown = (await api.call("GET", f"{RUNS}/hello-1")).json
        assert (shown["createdBy"], shown["triggeredBy"]) == ("ann", "cfo")


async def test_the_same_key_and_request_is_the_same_run(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        api.kubernetes.lagging = True
        answers = await asyncio.gather(*(create(api, key="k1", branch="x") for _ in range(5)))
        assert {answer.json["name"] for answer in answers} == {"hello-1"}
        assert not api.state.locks
        labels = api.kubernetes.objects[(PIPELINE_RUNS, "a", "hello-1")]["metadata"]["labels"]
        assert "k1" not in labels.values()


async def test_a_run_with_a_forged_key_answers_no_request(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create(api, key="k1", branch="x")
        forged = api.kubernetes.objects.pop((PIPELINE_RUNS, "a", "hello-1"))
        forged["metadata"] |= {"name": "forged-1"}
        forged["spec"]["pipeline"]["steps"][0]["commands"] = ["echo evil"]
        await api.kubernetes.create(PIPELINE_RUNS, forged, "a")
        assert (await create(api, key="k1", branch="x")).json["name"] == "hello-2"


async def test_the_same_key_with_another_request_is_refused(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create(api, key="k1", branch="x")
        assert (await create(api, key="k1", branch="y")).problem == (422, "idempotency-key-reused")


async def test_a_source_must_be_stored(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        source = {"archive": {"digest": "sha256:" + "0" * 64}}
        assert (await create(api, source=source)).problem == (422, "source-missing")
        both = {**source, "git": {"url": "u", "revision": "r"}}
        assert (await create(api, source=both)).problem == (422, "invalid")
        assert (await create(api, source={})).problem == (422, "invalid")


async def test_validation_problem_names_the_field(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        answer = await create(api, branchh="main", params={"a": ["b"]})
        assert answer.problem == (422, "invalid")
        assert {each["path"] for each in answer.json["problems"]} == {"branchh", "params.a"}


async def test_a_body_that_is_no_json_is_a_problem(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        answer = await api.call("POST", RUNS, data=b"{", headers={"Content-Type": "application/json"})
        assert answer.problem == (422, "invalid")
        nested = await api.call("POST", RUNS, data=b"[" * 100_000, headers={"Content-Type": "application/json"})
        assert nested.problem == (400, "bad-request")


async def test_text_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    as_json = {"Content-Type": "application/json"}
    async with run_api(tmp_path) as api:
        for place in ('"branch": "\\ud800"', '"triggeredBy": "\\ud800"', '"params": {"a": "\\ud800"}', '"\\ud800": 1'):
            data = f'{{"pipeline": {json.dumps(HELLO)}, {place}}}'.encode()
            assert (await api.call("POST", RUNS, data=data, headers=as_json)).status == 422, place
        data = json.dumps({"pipeline": {**HELLO, "env": {"A": "\ud800"}}}).encode()
        assert (await api.call("POST", RUNS, data=data, headers=as_json)).problem == (422, "invalid")
        for place in (
            '"branch": "a\\nb"',
            '"commit": "\\u0000"',
            '"params": {"a": "\\u0000"}',
            '"params": {"a b": "c"}',
        ):
            data = f'{{"pipeline": {json.dumps(HELLO)}, {place}}}'.encode()
            assert (await api.call("POST", RUNS, data=data, headers=as_json)).problem == (422, "invalid"), place
        assert api.kubernetes.objects == {}
        whole = f'{{"pipeline": {json.dumps(HELLO)}, "branch": "\\ud83d\\ude00"}}'.encode()
        assert (await api.call("POST", RUNS, data=whole, headers=as_json)).json["branch"] == "\N{GRINNING FACE}"


async def test_cancelling_asks_for_the_end_once_and_again(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create(api)
        for _ in range(2):
            answer = await api.call("POST", f"{RUNS}/hello-1/cancel")
            assert (answer.status, answer.json["cancelRequested"]) == (202, True)
        api.kubernetes.status("a", "hello-1", phase="Cancelled")
        assert (await api.call("POST", f"{RUNS}/hello-1/cancel")).problem == (409, "conflict")


async def test_lists_are_newest_first_paged_and_filtered(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        for _ in range(5):
            await create(api)
        api.kubernetes.status("a", "hello-2", phase="Failed")
        first = (await api.call("GET", f"{RUNS}?limit=3")).json
        assert [run["name"] for run in first["items"]] == ["hello-5", "hello-4", "hello-3"]
        assert "definition" not in first["items"][0]
        rest = (await api.call("GET", f"{RUNS}?limit=3&continue={first['continue']}")).json
        assert [run["name"] for run in rest["items"]] == ["hello-2", "hello-1"]
        assert "continue" not in rest
        assert rest["resourceVersion"] == str(api.kubernetes.version)
        failed = (await api.call("GET", f"{RUNS}?phase=Failed&phase=Queued")).json
        assert [run["name"] for run in failed["items"]] == ["hello-2"]
        assert (await api.call("GET", f"{RUNS}?pipeline=other")).json["items"] == []


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("limit=0", (422, "invalid")),
        ("phas=Failed", (400, "bad-request")),
        ("limit=501", (422, "invalid")),
        ("phase=Odd", (422, "invalid")),
        ("sort=size", (422, "invalid")),
        ("since=yesterday", (422, "invalid")),
        ("since=2026-02-31T00:00:00Z", (400, "bad-request")),
        ("continue=!!", (400, "bad-request")),
    ],
)
async def test_a_list_that_can_not_be_is_refused(tmp_path: Path, query: str, problem: tuple[int, str]) -> None:
    async with run_api(tmp_path) as api:
        assert (await api.call("GET", f"{RUNS}?{query}")).problem == problem


async def test_a_list_waits_for_the_cache(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        api.kubernetes.history._floor = None
        assert (await api.call("GET", RUNS)).problem == (503, "unavailable")


async def test_missing_objects_are_not_found(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        for method, path in (
            ("GET", "x-1"),
            ("DELETE", "x-1"),
            ("POST", "x-1/cancel"),
            ("GET", "X_1"),
            ("GET", "x%2F1"),
        ):
            answer = await api.call(method, f"{RUNS}/{path}")
            assert answer.problem == (404, "not-found"), (method, path)


async def test_a_watch_shows_a_run_from_its_creation_on(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        version = (await api.call("GET", RUNS)).json["resourceVersion"]
        await create(api)
        api.kubernetes.status("a", "hello-1", phase="Running")
        url = f"{api.url}/api/v1/namespaces/a/watch/runs?resourceVersion={version}"
        kinds: list[str] = []
        async with api.http.get(url, headers={"Authorization": "Bearer token-of-ann"}) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            async for line in answer.content:
                if line.startswith(b"event: "):
                    kinds.append(line[7:].decode().strip())
                if len(kinds) == 2:
                    break
        assert kinds == ["added", "modified"]


async def test_another_namespaces_runs_are_not_seen(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create(api)
        for path in ("", "/hello-1", "/nothing-1"):
            assert (await api.call("GET", RUNS + path, token=BOB)).problem == (403, "forbidden")
        assert (await api.call("GET", "/api/v1/namespaces/b/runs", token=BOB)).json["items"] == []


async def test_one_key_is_one_run_at_two_controllers(tmp_path: Path) -> None:
    async with run_api(tmp_path / "one") as one, run_api(tmp_path / "two", kubernetes=one.kubernetes) as two:
        one.kubernetes.lagging = True
        api = [one, two] * 4
        answers = await asyncio.gather(*(create(each, key="k1", branch="x") for each in api))
        assert {answer.json["name"] for answer in answers} == {"hello-1"}
        assert len([key for key in one.kubernetes.objects if key[0] == PIPELINE_RUNS]) == 1
        claims = one.kubernetes.objects[(CONFIG_MAPS, "a", "c8s-run-numbers")]["data"]
        assert claims == {"hello": "1"}


async def test_claim_of_a_crashed_controller_is_used(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        api.kubernetes.refuse = (PIPELINE_RUNS, UnreachableError("gone"))
        assert (await create(api, key="k1")).problem == (503, "unavailable")
        api.kubernetes.refuse = None
        assert (await create(api)).json["name"] == "hello-2"
        assert (await create(api, key="k1", branch="other")).problem == (422, "idempotency-key-reused")
        assert (await create(api, key="k1")).json["name"] == "hello-1"
        assert (await create(api, key="k1")).json["name"] == "hello-1"


async def test_a_deleted_run_does_not_come_back_under_its_number(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create(api, key="k1")
        await api.call("DELETE", f"{RUNS}/hello-1")
        assert (await create(api, key="k1")).json["name"] == "hello-2"


async def test_run_of_a_stored_pipeline(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        kept = await api.call("PUT", "/api/v1/namespaces/a/pipelines/hello", json={"definition": HELLO})
        assert kept.status == 201
        made = await api.call("POST", RUNS, json={"pipelineRef": "hello"})
        assert (made.status, made.json["definition"]["steps"][0]["name"]) == (201, "say")
        assert (await api.call("POST", RUNS, json={"pipelineRef": "other"})).problem == (404, "not-found")
        both = {"pipelineRef": "hello", "pipeline": HELLO}
        assert (await api.call("POST", RUNS, json=both)).problem == (422, "invalid")
        assert (await api.call("POST", RUNS, json={})).problem == (422, "invalid")


GIT = {"url": "https://example.org/r.git", "revision": "main"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "--upload-pack=touch /tmp/x"},
        {"url": "ext::sh -c id"},
        {"url": "https://ann:hunter2@example.org/r"},
        {"url": "https://token@example.org/r"},
        {"url": "https://example.org/r\nx"},
        {"revision": "--output=/etc/passwd"},
        {"revision": "a b"},
        {"secretRef": "../x"},
    ],
)
async def test_ambiguous_git_source_is_refused(tmp_path: Path, wrong: dict[str, str]) -> None:
    async with run_api(tmp_path) as api:
        answer = await create(api, source={"git": {**GIT, **wrong}})
        assert answer.problem == (422, "invalid")
        assert "hunter2" not in answer.body.decode()
        assert api.kubernetes.objects == {}


async def test_rerun_takes_over_the_runs_context(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        pipeline = {**HELLO, "params": [{"name": "target", "default": "dev"}]}
        first = {"pipeline": pipeline, "branch": "main", "event": "push", "params": {"target": "prod"}}
        await api.call(
            "POST", RUNS, json={**first, "source": {"git": GIT}, "priority": "high", "changedFiles": ["a.py"]}
        )
        assert (await api.call("POST", f"{RUNS}/hello-1/rerun", json={})).problem == (409, "conflict")
        api.kubernetes.status("a", "hello-1", phase="Failed", source={"digest": "d", "commit": "c" * 40})
        again = (await api.call("POST", f"{RUNS}/hello-1/rerun", json={})).json
        assert (again["name"], again["rerunOf"], again["reuseFrom"]) == ("hello-2", "hello-1", None)
        assert (again["branch"], again["event"], again["priority"]) == ("main", "push", "high")
        assert (again["params"], again["triggeredBy"]) == ({"target": "prod"}, "ann")
        assert api.kubernetes.objects[(PIPELINE_RUNS, "a", "hello-2")]["spec"]["changedFiles"] == ["a.py"]
        source = api.kubernetes.objects[(PIPELINE_RUNS, "a", "hello-2")]["spec"]["source"]
        assert source == {"git": {**GIT, "revision": "c" * 40}}
        failed = (await api.call("POST", f"{RUNS}/hello-1/rerun", json={"fromFailed": True})).json
        assert failed["reuseFrom"] == "hello-1"
        edited = {"pipeline": HELLO}
        changed = (await api.call("POST", f"{RUNS}/hello-1/rerun", json=edited)).json
        assert (changed["reuseFrom"], changed["params"]) == ("hello-1", {})
        unknown = await api.call("POST", f"{RUNS}/hello-1/rerun", json={"params": {"nosuch": "x"}})
        assert unknown.problem == (422, "pipeline-invalid")


async def test_a_run_that_would_cost_too_much_is_refused(tmp_path: Path) -> None:
    steps = [{"name": "a", "image": "i:1", "commands": ["true"], "env": {"A": "{{params.p}}" * 1_600}}]
    bomb = {"name": "bomb", "params": [{"name": "p"}], "steps": steps}
    async with run_api(tmp_path) as api:
        answer = await api.call("POST", RUNS, json={"pipeline": bomb, "params": {"p": "x" * 65_536}})
        assert answer.problem == (422, "pipeline-invalid")
        assert "at most 131,071 are allowed" in answer.json["detail"]
        assert answer.json["problems"][0]["code"] == "run.too-expensive"


async def test_running_again_twice_with_one_key_is_one_run(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await create(api)
        api.kubernetes.status("a", "hello-1", phase="Succeeded")
        key = {"Idempotency-Key": "r"}
        made = [(await api.call("POST", f"{RUNS}/hello-1/rerun", json={}, headers=key)).json for _ in range(2)]
        assert [each["name"] for each in made] == ["hello-2", "hello-2"]


async def test_reuse_needs_an_existing_run(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        assert (await create(api, reuseFrom="nosuch-1")).problem == (404, "not-found")


async def test_a_run_whose_status_could_not_be_stored_is_refused(tmp_path: Path) -> None:
    matrix = {"dimensions": {"x": [f"{index:03}" + "v" * 240 for index in range(150)]}}
    steps = [{**STEP, "name": name, "matrix": matrix, "retryPolicy": {"maxRetries": 10}} for name in "ab"]
    async with run_api(tmp_path) as api:
        answer = await api.call("POST", RUNS, json={"pipeline": {**HELLO, "steps": steps}})
        assert (answer.status, answer.json["problems"][0]["code"]) == (422, "run.too-large")
        assert "300 steps" in answer.json["detail"]
        assert (await create(api)).json["name"] == "hello-1", "no number is used up"


async def test_two_matrices_of_150_that_depend_on_each_other_are_taken(tmp_path: Path) -> None:
    matrix = {"dimensions": {"x": [f"{index:03}" + "v" * 197 for index in range(150)]}}
    steps = [{**STEP, "name": "a", "matrix": matrix}, {**STEP, "name": "b", "matrix": matrix, "dependsOn": ["a"]}]
    async with run_api(tmp_path) as api:
        assert (await api.call("POST", RUNS, json={"pipeline": {**HELLO, "steps": steps}})).status == 201
