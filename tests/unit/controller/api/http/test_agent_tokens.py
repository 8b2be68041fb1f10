"""What the token of an agent reaches, and until when."""

from pathlib import Path
from typing import Any

import pytest

from controller.kube import PIPELINE_RUNS
from tests.unit.controller.api.fakes import BOB, FakeCapability, run_api
from tests.unit.controller.api.http.transfers import AGENT, ENDED, HEX, SOURCES, TREE, run_with_step, source_key


async def test_run_of_a_deleted_namespace_reaches_nothing_of_the_next(tmp_path: Path) -> None:
    """Its agent still runs, and the cache of runs lags, when a namespace of the same name is made."""
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        api.kubernetes.lagging = True
        await api.kubernetes.delete(PIPELINE_RUNS, "ci-1", "a")
        api.kubernetes.namespace_uids["a"] = "uid-of-the-next-a"
        await api.store.put(source_key(api), TREE)
        assert (await api.call("GET", f"{AGENT}/source", token="build")).problem == (404, "not-found")


async def test_agent_reaches_nothing_but_its_own_attempt(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        body = {"size": 1, "sha256": HEX}
        for place in ("nosuch/1", "build/2", "later/1"):
            answer = await api.call("POST", f"{AGENT}/artifacts/{place}", token=token, json=body)
            assert answer.problem == (403, "forbidden"), place
        for place in ("build/0", "build/x", "..%2f..%2fb/1"):
            assert (await api.call("POST", f"{AGENT}/artifacts/{place}", token=token, json=body)).status == 404, place
        api.capabilities["old"] = FakeCapability("a", "ci-1", "the-uid-of-a-run-that-is-gone")
        assert (await api.call("POST", f"{AGENT}/artifacts/build/1", token="old", json=body)).status == 401


async def test_source_of_another_namespace_is_not_there(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        assert (await api.call("PUT", f"{SOURCES}/sha256:{HEX}", data=TREE)).status == 201
        path = f"/api/v1/namespaces/b/sources/sha256:{HEX}"
        assert (await api.call("HEAD", path, token=BOB)).status == 404
        assert (await api.call("HEAD", f"{SOURCES}/sha256:{HEX}")).status == 200


async def test_token_of_one_role_does_not_serve_another(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        body = {"size": 1, "sha256": HEX}
        for method, path, token in (
            ("GET", "source", "clone"),
            ("GET", "artifacts/build", "clone"),
            ("POST", "artifacts/build/1", "clone"),
            ("POST", "artifacts/build/1", "later"),
            ("GET", "workspaces/build/1", "build"),
            ("GET", "artifacts/build", "aside"),
            ("GET", "artifacts/build", "build"),
            ("GET", "artifacts/later", "later"),
        ):
            given = {"json": body} if method == "POST" else {}
            answer = await api.call(method, f"{AGENT}/{path}", token=token, **given)
            assert answer.problem == (403, "forbidden"), (path, token)


@pytest.mark.parametrize(
    ("phase", "attempts", "status"),
    [
        ("Running", [], 200),
        ("Running", [{"number": 1, "phase": "Running"}], 200),
        # Its workspace and its caches are stored after its commands have ended.
        ("Running", [{"number": 1, "phase": "Failed", "times": {}}], 200),
        ("Running", [ENDED], 409),
        ("Running", [{"number": 1, "phase": "Failed"}, {"number": 2, "phase": "Running"}], 409),
        ("Succeeded", [], 409),
        ("Failed", [{"number": 1, "phase": "Running"}], 409),
    ],
)
async def test_token_ends_with_its_attempt(tmp_path: Path, phase: str, attempts: list[Any], status: int) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        api.kubernetes.status(
            "a", "ci-1", phase=phase, steps=[{"name": "build", "slug": "build", "attempts": attempts}]
        )
        body = {"size": 1, "sha256": HEX}
        assert (await api.call("POST", f"{AGENT}/artifacts/build/1", token=token, json=body)).status == status


async def test_agent_is_served_before_the_cache_has_its_step(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        api.kubernetes.lagging = True
        api.kubernetes.status("a", "ci-1", steps=[])
        body = {"size": 1, "sha256": HEX}
        assert (await api.call("POST", f"{AGENT}/artifacts/build/1", token=token, json=body)).status == 200
