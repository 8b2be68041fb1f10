"""The workspaces of failed steps at the API: the agent's calls, and the copies that users enter."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from controller.kube import PIPELINE_RUNS
from tests.unit.controller.api.fakes import ANN, ApiServer, FakeCapability, run_api

TREE = b"\x1f\x8b" + b"left" * 1000
HEX = hashlib.sha256(TREE).hexdigest()
WORKSPACE_PATH = "/api/v1/agent/workspaces/test/1"
RUNS = "/api/v1/namespaces/a/runs"
COPY = f"{RUNS}/ci-4/steps/test/copy"
DEFINITION = {
    "name": "ci",
    "params": [{"name": "target", "default": "dev"}],
    "keepOnFailure": True,
    "steps": [
        {"name": "build", "image": "b:1", "commands": ["make"]},
        {"name": "test", "image": "i:1", "commands": ["false"], "dependsOn": ["build"], "env": {"A": "b"}},
    ],
}
STORED = {"size": len(TREE), "sha256": HEX, "files": 3, "leftOut": 1}


async def run_in(api: ApiServer, namespace: str = "a", **spec: Any) -> str:
    """A run with a failed step; the token of its agents."""
    given = {"pipeline": DEFINITION, "params": {"target": "prod"}, "branch": "main", **spec}
    labels = {"c8s.dev/pipeline": "ci", "c8s.dev/run-number": "4"}
    made = {"metadata": {"name": "ci-4", "namespace": namespace, "labels": labels}, "spec": given}
    run = await api.kubernetes.create(PIPELINE_RUNS, made, namespace)
    mark_failed(api, namespace, "Running")
    api.capabilities["cap"] = FakeCapability(namespace, "ci-4", run["metadata"]["uid"], "test")
    return "cap"


def mark_failed(api: ApiServer, namespace: str = "a", phase: str = "Failed", **attempt: Any) -> None:
    tried = {"number": 1, "phase": "Failed", **attempt}
    steps = [{"name": "test", "slug": "test", "phase": "Failed", "attempts": [tried]}]
    api.kubernetes.status(namespace, "ci-4", phase=phase, steps=steps)


async def save_workspace(api: ApiServer, namespace: str = "a") -> str:
    """The same, and its workspace is stored and reported."""
    token = await run_in(api, namespace)
    link = (await api.call("POST", WORKSPACE_PATH, token=token, json={"size": len(TREE), "sha256": HEX})).json["url"]
    assert (await api.call("PUT", link, token=None, data=TREE)).status == 201
    assert (await api.call("PUT", f"{WORKSPACE_PATH}/manifest", token=token, json=STORED)).status == 204
    mark_failed(api, namespace, kept={"bytes": len(TREE), "files": 3})
    return token


async def test_first_report_of_a_workspace_stays(tmp_path: Path) -> None:
    async with run_api(tmp_path, workspace_limit=10_000) as api:
        token = await run_in(api)
        assert (await api.call("GET", WORKSPACE_PATH, token=token)).json == {"wanted": True, "limit": 10_000}
        assert (await api.call("PUT", f"{WORKSPACE_PATH}/manifest", token=token, json=STORED)).problem == (
            409,
            "conflict",
        )
        body = {"size": len(TREE), "sha256": HEX}
        link = (await api.call("POST", WORKSPACE_PATH, token=token, json=body)).json["url"]
        await api.call("PUT", link, token=None, data=TREE)
        for _ in range(2):
            assert (await api.call("PUT", f"{WORKSPACE_PATH}/manifest", token=token, json=STORED)).status == 204
        other = {"problem": "no room"}
        assert (await api.call("PUT", f"{WORKSPACE_PATH}/manifest", token=token, json=other)).problem == (
            409,
            "conflict",
        )
        assert (await api.call("POST", WORKSPACE_PATH, token=token, json=body)).problem == (409, "conflict")
        place = f"workspaces/a/{api.capabilities[token].uid}/test/1"
        assert await api.store.get(f"{place}.{HEX}.tar.gz") == TREE
        assert json.loads(await api.store.get(f"{place}.json")) == STORED


async def test_workspaces_use_what_is_left_of_the_budget_of_a_namespace(tmp_path: Path) -> None:
    async with run_api(tmp_path, workspace_limit=10_000, namespace_workspaces_limit=1_000) as api:
        token = await run_in(api)
        await api.store.put("workspaces/a/uid-of-another/test/1.x.tar.gz", b"x" * 400)
        assert (await api.call("GET", WORKSPACE_PATH, token=token)).json == {"wanted": True, "limit": 600}
        answer = await api.call("POST", WORKSPACE_PATH, token=token, json={"size": 601, "sha256": HEX})
        assert answer.problem == (413, "over-budget")
        assert (await api.call("POST", WORKSPACE_PATH, token=token, json={"size": 600, "sha256": HEX})).status == 200


async def test_no_workspace_is_saved_once_the_budget_is_used_up(tmp_path: Path) -> None:
    async with run_api(tmp_path, namespace_workspaces_limit=1_000) as api:
        token = await run_in(api)
        await api.store.put("workspaces/a/uid-of-another/test/1.x.tar.gz", b"x" * 1_000)
        terms = (await api.call("GET", WORKSPACE_PATH, token=token)).json
        assert terms["wanted"] is False
        assert "--namespace-workspaces-limit-mib" in terms["why"]


async def test_workspace_report_needs_an_archive_or_a_problem(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_in(api)
        assert (await api.call("PUT", f"{WORKSPACE_PATH}/manifest", token=token, json={})).problem == (422, "invalid")
        report = {"problem": "it has more than 512 MiB, packed"}
        assert (await api.call("PUT", f"{WORKSPACE_PATH}/manifest", token=token, json=report)).status == 204
        key = f"workspaces/a/{api.capabilities[token].uid}/test/1.json"
        assert json.loads(await api.store.get(key)) == report


async def test_upload_over_the_limit_is_refused(tmp_path: Path) -> None:
    async with run_api(tmp_path, workspace_limit=len(TREE) - 1) as api:
        token = await run_in(api)
        body = {"size": len(TREE), "sha256": HEX}
        assert (await api.call("POST", WORKSPACE_PATH, token=token, json=body)).problem == (413, "too-large")
        assert (await api.call("PUT", f"{WORKSPACE_PATH}/manifest", token=token, json=STORED)).problem == (
            413,
            "too-large",
        )


async def test_cancelled_run_saves_no_workspace_despite_a_stale_cache(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_in(api)
        api.kubernetes.lagging = True
        await api.kubernetes.patch(PIPELINE_RUNS, "ci-4", {"spec": {"cancel": True}}, "a")
        assert (await api.call("GET", WORKSPACE_PATH, token=token)).json["why"] == "the run was cancelled"
    async with run_api(tmp_path, workspace_limit=0) as api:
        token = await run_in(api)
        report = (await api.call("GET", WORKSPACE_PATH, token=token)).json
        assert (report["wanted"], "saves no workspaces" in report["why"]) == (False, True)


async def test_an_agent_reaches_no_other_step_attempt_or_run(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_in(api)
        for place, status in (("build2/1", 403), ("test/7", 403), ("test/0", 404), ("..%2ftest/1", 404)):
            answer = await api.call("GET", f"/api/v1/agent/workspaces/{place}", token=token)
            assert answer.status == status, place
        api.capabilities["old"] = FakeCapability("a", "ci-4", "the-uid-of-a-run-that-is-gone", "test")
        assert (await api.call("GET", WORKSPACE_PATH, token="old")).problem == (401, "unauthenticated")


async def test_debug_copy_runs_only_the_step_on_its_workspace(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await save_workspace(api)
        answer = await api.call("POST", COPY, json={"seconds": 600})
        assert (answer.status, answer.json["name"]) == (201, "ci-debug-1")
        assert answer.json["copyOf"] == {"run": "ci-4", "uid": "uid-of-ci-4", "step": "test", "attempt": 1}
        assert (answer.json["params"], answer.json["branch"]) == ({"target": "prod"}, "main")
        [step] = answer.json["definition"]["steps"]
        assert step["commands"] == ["exec sleep 600"]
        assert (step["image"], step["env"], "dependsOn" in step) == ("i:1", {"A": "b"}, False)
        made = api.kubernetes.objects[PIPELINE_RUNS, "a", "ci-debug-1"]
        saved = {"run": "ci-4", "uid": "uid-of-ci-4", "number": "4", "step": "test", "attempt": 1}
        assert made["spec"]["source"] == {"kept": saved}

        api.capabilities["copy"] = FakeCapability("a", "ci-debug-1", made["metadata"]["uid"], "test", 1, "step")
        found = (await api.call("GET", "/api/v1/agent/source", token="copy")).json
        assert (found["sha256"], found["size"]) == (HEX, len(TREE))
        assert (await api.call("GET", found["url"], token=None)).body == TREE


async def test_the_same_request_makes_one_copy(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await save_workspace(api)
        names = {
            (await api.call("POST", COPY, json={"seconds": 600}, headers={"Idempotency-Key": "k"})).json["name"]
            for _ in range(3)
        }
        assert names == {"ci-debug-1"}


async def test_debug_copy_requires_get_create_and_exec(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await save_workspace(api)
        api.kubernetes.questions.clear()
        await api.call("POST", COPY, json={})
        asked = [q["spec"]["resourceAttributes"] for q in api.kubernetes.questions if q["kind"] != "TokenReview"]
        rights = {(each["verb"], each["resource"], each.get("subresource") or "") for each in asked}
        assert ("create", "pods", "exec") in rights
        assert ("create", "pipelineruns", "") in rights


@pytest.mark.parametrize("missing", [("get", "pipelineruns"), ("create", "pipelineruns"), ("create", "pods")])
async def test_each_of_the_rights_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, str]
) -> None:
    async with run_api(tmp_path) as api:
        await save_workspace(api)
        review = api.kubernetes.review

        async def refuse(question: Any, /) -> Any:
            about = question["spec"].get("resourceAttributes", {})
            return (
                {"allowed": False} if (about.get("verb"), about.get("resource")) == missing else await review(question)
            )

        monkeypatch.setattr(api.state.authenticator, "_review", refuse)
        assert (await api.call("POST", COPY, json={})).problem == (403, "forbidden")
        assert not [name for _, _, name in api.kubernetes.objects if "debug" in name]


@pytest.mark.parametrize(
    ("report", "status", "words"),
    [
        ({}, 409, "was not saved"),
        ({"kept": {"problem": "it has more than 512 MiB"}}, 409, "it has more than 512 MiB"),
        ({"kept": {"bytes": 9}}, 404, "is not stored, or no longer"),
    ],
)
async def test_debug_copy_needs_a_saved_workspace(
    tmp_path: Path, report: dict[str, Any], status: int, words: str
) -> None:
    async with run_api(tmp_path) as api:
        await run_in(api)
        mark_failed(api, **report)
        answer = await api.call("POST", COPY, json={})
        assert (answer.status, words in answer.json["detail"]) == (status, True)


async def test_a_workspace_of_another_namespace_is_out_of_reach(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await save_workspace(api, "b")
        saved = {"run": "ci-4", "uid": "uid-of-ci-4", "step": "test", "attempt": 1}
        spec = {"pipeline": DEFINITION, "source": {"kept": saved}}
        made = {"metadata": {"name": "mine-1", "namespace": "a"}, "spec": spec}
        run = await api.kubernetes.create(PIPELINE_RUNS, made, "a")
        api.capabilities["copy"] = FakeCapability("a", "mine-1", run["metadata"]["uid"], "test", 1, "step")
        assert (await api.call("GET", "/api/v1/agent/source", token="copy")).problem == (404, "not-found")
        request = {"pipeline": DEFINITION, "source": {"kept": {"run": "ci-4", "step": "test", "attempt": 1}}}
        assert (await api.call("POST", RUNS, json=request)).problem == (422, "invalid")


@pytest.mark.parametrize(
    ("uid", "expected", "words"),
    [
        ("uid-of-ci-4-that-was-deleted", (404, "not-found"), "another run has its name now"),
        (None, (409, "conflict"), "open a new one with `c8s shell`"),
    ],
)
async def test_workspace_of_another_run_of_the_name_is_refused(
    tmp_path: Path, uid: str | None, expected: tuple[int, str], words: str
) -> None:
    async with run_api(tmp_path) as api:
        await save_workspace(api)
        saved = {"run": "ci-4", "step": "test", "attempt": 1} | ({"uid": uid} if uid else {})
        made = {
            "metadata": {"name": "mine-1", "namespace": "a"},
            "spec": {"pipeline": DEFINITION, "source": {"kept": saved}},
        }
        run = await api.kubernetes.create(PIPELINE_RUNS, made, "a")
        api.capabilities["copy"] = FakeCapability("a", "mine-1", run["metadata"]["uid"], "test", 1, "step")
        answer = await api.call("GET", "/api/v1/agent/source", token="copy")
        assert (answer.problem, words in answer.json["detail"]) == (expected, True)


async def test_debug_copies_can_be_excluded_and_not_rerun(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await save_workspace(api)
        await api.call("POST", COPY, json={})
        for query, names in (("", ["ci-debug-1", "ci-4"]), ("?copies=false", ["ci-4"])):
            listed = (await api.call("GET", f"{RUNS}{query}")).json["items"]
            assert sorted(run["name"] for run in listed) == sorted(names)
        api.kubernetes.status("a", "ci-debug-1", phase="Succeeded", steps=[])
        assert (await api.call("POST", f"{RUNS}/ci-debug-1/rerun", json={})).problem == (409, "conflict")
        assert (await api.call("POST", f"{RUNS}/ci-debug-1/steps/test/copy", json={})).status in (404, 409)


async def test_rerun_can_save_failed_workspaces(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        plain = {name: value for name, value in DEFINITION.items() if name != "keepOnFailure"}
        await run_in(api, pipeline=plain)
        mark_failed(api)
        answer = await api.call("POST", f"{RUNS}/ci-4/rerun", json={"keepOnFailure": True}, token=ANN)
        assert answer.json["definition"]["keepOnFailure"] is True
        assert "reuseFrom" not in api.kubernetes.objects[PIPELINE_RUNS, "a", answer.json["name"]]["spec"]
