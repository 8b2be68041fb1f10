"""Caches of steps: who finds and who saves which, within which limits."""

import hashlib
import os
import time
from pathlib import Path

from tests.unit.controller.api.fakes import run_api
from tests.unit.controller.api.http.transfers import (
    AGENT,
    HEX,
    PIPELINE,
    SOURCES,
    TREE,
    finds_cache,
    in_pieces,
    run_with_step,
    save_cache,
    stored_objects,
)


async def test_first_cache_of_a_key_stays_within_its_pipeline(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        caches, body = f"{AGENT}/caches", {"key": "go-1", "size": len(TREE), "sha256": HEX}
        assert (await api.call("POST", f"{caches}/lookup", token="build", json={"key": "go-1"})).status == 404
        late = (await api.call("POST", caches, token=token, json={**body, "size": 1, "sha256": "0" * 64})).json["url"]
        link = (await api.call("POST", caches, token=token, json=body)).json["url"]
        assert (await api.call("PUT", f"{caches}/manifest", token=token, json=body)).problem == (409, "conflict")
        assert (await api.call("PUT", link, token=None, data=TREE)).status == 201
        assert (await api.call("POST", f"{caches}/lookup", token="build", json={"key": "go-1"})).status == 404
        for _ in range(2):
            assert (await api.call("PUT", f"{caches}/manifest", token=token, json=body)).status == 204
        # Who asked before and comes late changes nothing.
        assert (await api.call("PUT", late, token=None, data=b"x")).problem == (422, "digest-mismatch")
        other = {**body, "size": 1, "sha256": "0" * 64}
        assert (await api.call("PUT", f"{caches}/manifest", token=token, json=other)).problem == (409, "conflict")
        assert (await api.call("POST", caches, token=token, json=body)).problem == (409, "conflict")
        found = (await api.call("POST", f"{caches}/lookup", token="build", json={"key": "go-1"})).json
        assert (found["sha256"], found["size"]) == (HEX, len(TREE))
        assert (await api.call("GET", found["url"], token=None)).body == TREE

        await run_with_step(api, "deploy-1", pipeline={**PIPELINE, "name": "deploy"})
        assert (await api.call("POST", f"{caches}/lookup", token="build", json={"key": "go-1"})).status == 404


async def test_pull_request_saves_caches_for_itself_alone(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        for name, event, branch in (("pr-1", "pull_request", "main"), ("tag-1", "tag", "main"), ("x-1", "push", "x")):
            await run_with_step(api, name, event=event, branch=branch)
            assert await save_cache(api) == 204, name
            assert await finds_cache(api), name
        for name, event, branch in (("main-1", "push", "main"), ("pr-2", "pull_request", "y"), ("y-1", "manual", "y")):
            await run_with_step(api, name, event=event, branch=branch)
            assert not await finds_cache(api), name


async def test_every_run_finds_caches_of_the_default_branch(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api, "main-1", event="push", branch="main")
        assert await save_cache(api) == 204
        for name, event, branch in (("pr-1", "pull_request", "x"), ("x-1", "push", "x"), ("no-1", "manual", "")):
            await run_with_step(api, name, event=event, branch=branch)
            assert await finds_cache(api), name


async def test_namespace_that_was_made_again_has_no_caches(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api, "ci-1", branch="main")
        assert await save_cache(api) == 204
        api.kubernetes.namespace_uids["a"] = "uid-of-a-again"
        await run_with_step(api, "ci-2", branch="main")
        assert not await finds_cache(api)


async def test_agent_reaches_only_the_caches_of_its_step(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api, branch="v.1")
        hashed = f"go-v.1-{'0' * 64}"
        assert await save_cache(api, hashed) == 204
        assert await finds_cache(api, hashed)
        for key in ("other", "go-1x", f"go-vx1-{'0' * 64}", "go-v.1-0", f"{hashed}\n"):
            assert await save_cache(api, key) == 403, key
            answer = await api.call("POST", f"{AGENT}/caches/lookup", token="build", json={"key": key})
            assert answer.problem == (403, "forbidden"), key


async def test_cache_over_the_limit_is_refused(tmp_path: Path) -> None:
    async with run_api(tmp_path, cache_limit=len(TREE) - 1) as api:
        token = await run_with_step(api)
        body = {"key": "go-1", "size": len(TREE), "sha256": HEX}
        assert (await api.call("POST", f"{AGENT}/caches", token=token, json=body)).problem == (413, "too-large")
        path = f"{AGENT}/caches/manifest"
        assert (await api.call("PUT", path, token=token, json=body)).problem == (413, "too-large")


async def test_using_a_cache_gives_it_a_new_date_once_a_day(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        await save_cache(api)
        document = next(path for path in stored_objects(api) if "caches" in path.parts and path.suffix == ".json")
        for age, renewed in ((3600, False), (2 * 86400, True)):
            before = time.time() - age
            os.utime(document, (before, before))
            assert await finds_cache(api)
            assert (document.stat().st_mtime > before + 60) is renewed


async def test_sources_and_caches_beyond_the_budget_of_a_namespace_are_refused(tmp_path: Path) -> None:
    limits = {"namespace_sources_limit": len(TREE), "namespace_caches_limit": len(TREE) - 1}
    async with run_api(tmp_path, **limits) as api:
        assert (await api.call("PUT", f"{SOURCES}/sha256:{HEX}", data=TREE)).status == 201
        other = TREE + b"\0"
        for data in (other, in_pieces(other)):
            answer = await api.call("PUT", f"{SOURCES}/sha256:{hashlib.sha256(other).hexdigest()}", data=data)
            assert answer.status == 413
        await run_with_step(api)
        body = {"key": "go-1", "size": len(TREE), "sha256": HEX}
        assert (await api.call("POST", f"{AGENT}/caches", token="build", json=body)).problem == (413, "over-budget")
        assert [path.suffix for path in stored_objects(api)] == [".gz"]
