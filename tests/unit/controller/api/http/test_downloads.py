"""Bytes in and out: sources, artifacts, signed links, and the agent's calls."""

import asyncio
import hashlib
import io
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.api.artifacts.budgets import format_bytes
from controller.kube import PIPELINE_RUNS
from controller.metrics.loop_watchdog import LoopWatchdog
from controller.storage.sources import SourceId, period_at
from tests.unit.controller.api.fakes import BOB, ApiServer, FakeCapability, run_api

TREE = b"\x1f\x8b" + b"tree" * 1000
HEX = hashlib.sha256(TREE).hexdigest()
SOURCES = "/api/v1/namespaces/a/sources"
AGENT = "/api/v1/agent"


def stored_objects(api: ApiServer) -> list[Path]:
    """Everything that is in the store's folder, half-written files included."""
    return [path for path in api.store._root.rglob("*") if path.is_file()]


async def in_pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 100):
        yield data[start : start + 100]


def source_key(api: ApiServer, periods_ago: int = 0) -> str:
    """The key of `TREE` in the namespace `a`, as it was stored some periods ago."""
    period = period_at(api.state.utc_now()) - periods_ago
    return SourceId("a", api.kubernetes.namespace_uids["a"], HEX).key(period)


@pytest.mark.parametrize(("periods_ago", "status"), [(0, 200), (1, 200), (2, 404), (9, 404)])
async def test_source_that_a_sweep_may_delete_soon_is_uploaded_again(
    tmp_path: Path, periods_ago: int, status: int
) -> None:
    async with run_api(tmp_path) as api:
        await api.store.put(source_key(api, periods_ago), TREE)
        assert (await api.call("HEAD", f"{SOURCES}/sha256:{HEX}")).status == status
        assert (await api.call("PUT", f"{SOURCES}/sha256:{HEX}", data=TREE)).status == 201
        assert (await api.store.head(source_key(api)) is not None) == (periods_ago != 1)


async def test_run_on_an_old_source_stores_it_again(tmp_path: Path) -> None:
    """As a rerun does, whose user may not have the files any more."""
    async with run_api(tmp_path) as api:
        await api.store.put(source_key(api, 2), TREE)
        body = {"pipeline": PIPELINE, "source": {"archive": {"digest": f"sha256:{HEX}"}}}
        assert (await api.call("POST", "/api/v1/namespaces/a/runs", json=body)).status == 201
        assert await api.store.get(source_key(api)) == TREE


async def test_namespace_that_is_made_again_has_no_sources(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        assert (await api.call("PUT", f"{SOURCES}/sha256:{HEX}", data=TREE)).status == 201
        api.kubernetes.namespace_uids["a"] = "uid-of-the-next-a"
        assert (await api.call("HEAD", f"{SOURCES}/sha256:{HEX}")).status == 404
        body = {"pipeline": PIPELINE, "source": {"archive": {"digest": f"sha256:{HEX}"}}}
        assert (await api.call("POST", "/api/v1/namespaces/a/runs", json=body)).problem == (422, "source-missing")


async def test_run_of_a_deleted_namespace_reaches_nothing_of_the_next(tmp_path: Path) -> None:
    """Its agent still runs, and the cache of runs lags, when a namespace of the same name is made."""
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        api.kubernetes.lagging = True
        await api.kubernetes.delete(PIPELINE_RUNS, "ci-1", "a")
        api.kubernetes.namespace_uids["a"] = "uid-of-the-next-a"
        await api.store.put(source_key(api), TREE)
        assert (await api.call("GET", f"{AGENT}/source", token="fetch")).problem == (404, "not-found")


async def test_a_source_is_stored_by_its_digest(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        path = f"{SOURCES}/sha256:{HEX}"
        assert (await api.call("HEAD", path)).status == 404
        answer = await api.call("PUT", path, data=in_pieces(TREE))
        assert (answer.status, answer.json) == (201, {"digest": f"sha256:{HEX}", "size": len(TREE)})
        assert (await api.call("HEAD", path)).status == 200
        assert await api.store.get(source_key(api)) == TREE
        assert (await api.call("PUT", path, data=TREE)).json["size"] == len(TREE)


async def test_a_source_with_another_digest_leaves_nothing(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        answer = await api.call("PUT", f"{SOURCES}/sha256:{'0' * 64}", data=in_pieces(TREE))
        assert answer.problem == (422, "digest-mismatch")
        assert stored_objects(api) == []


@pytest.mark.parametrize("announced", [True, False])
async def test_a_source_that_is_too_large_leaves_nothing(tmp_path: Path, announced: bool) -> None:
    async with run_api(tmp_path, source_limit=1000) as api:
        data: Any = TREE if announced else in_pieces(TREE)
        answer = await api.call("PUT", f"{SOURCES}/sha256:{HEX}", data=data)
        assert answer.problem == (413, "too-large")
        assert stored_objects(api) == []


@pytest.mark.parametrize("data", [b"", b"\x1f", b"PK\x03\x04"])
async def test_a_source_must_be_a_gzip(tmp_path: Path, data: bytes) -> None:
    async with run_api(tmp_path) as api:
        digest = hashlib.sha256(data).hexdigest()
        answer = await api.call("PUT", f"{SOURCES}/sha256:{digest}", data=data)
        assert answer.problem == (415, "unsupported-media-type")
        assert stored_objects(api) == []


async def test_a_source_whose_sender_falls_silent_leaves_nothing(tmp_path: Path) -> None:
    async with run_api(tmp_path, idle_seconds=0.05) as api:
        host, port = api.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"PUT {SOURCES}/sha256:{HEX} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer token-of-ann\r\n"
        writer.write(f"{head}Content-Length: {len(TREE)}\r\n\r\n".encode() + TREE[:10])
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert answer.startswith(b"HTTP/1.1 504")
        writer.close()
        await writer.wait_closed()
        assert stored_objects(api) == []


PIPELINE = {
    "name": "ci",
    "steps": [
        {
            "name": "build",
            "image": "b:1",
            "commands": ["make"],
            "artifacts": ["dist/**"],
            "cache": [{"key": "go-1", "paths": ["p"]}, {"key": "go-{{run.branch}}-{{hash go.sum}}", "paths": ["q"]}],
        },
        {"name": "later", "image": "b:1", "commands": ["make"], "dependsOn": ["build"]},
        {"name": "aside", "image": "b:1", "commands": ["make"]},
    ],
}
AGENTS = [
    ("fetch", "build", "fetch"),
    ("upload", "build", "upload"),
    ("later", "later", "fetch"),
    ("aside", "aside", "fetch"),
]


async def run_with_step(api: ApiServer, name: str = "ci-1", **spec: Any) -> str:
    """A run with a source and a step `build` in its first attempt; the token of its agent `upload`.

    `fetch`, `later` and `aside` are the tokens of the agents that prepare its steps.
    """
    await api.store.put(source_key(api), TREE)
    given = {"pipeline": PIPELINE, "source": {"archive": {"digest": f"sha256:{HEX}"}}, **spec}
    run = await api.kubernetes.create(PIPELINE_RUNS, {"metadata": {"name": name, "namespace": "a"}, "spec": given}, "a")
    steps = [{"name": "build", "slug": "build", "attempts": [{"number": 1}]}, {"name": "later", "slug": "later"}]
    api.kubernetes.status("a", name, phase="Running", steps=steps)
    for token, slug, role in AGENTS:
        api.capabilities[token] = FakeCapability("a", name, run["metadata"]["uid"], slug, 1, role)
    return "upload"


def manifest(data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {
        "files": [{"path": "dist/a", "size": 1, "sha256": "0" * 64, "mode": 0o644}],
        "archive": {"size": len(data), "sha256": digest},
    }


async def test_an_agent_fetches_uploads_and_commits(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        source = (await api.call("GET", f"{AGENT}/source", token="fetch")).json
        assert (source["sha256"], source["size"]) == (HEX, len(TREE))
        assert (await api.call("GET", source["url"], token=None)).body == TREE

        place = f"{AGENT}/artifacts/build/1"
        body = {"size": len(TREE), "sha256": HEX}
        link = (await api.call("POST", place, token=token, json=body)).json["url"]
        assert (await api.call("PUT", link, token=None, data=TREE)).status == 201
        assert (await api.call("GET", f"{AGENT}/artifacts/build", token="later")).problem == (404, "not-found")
        for _ in range(2):
            assert (await api.call("PUT", f"{place}/manifest", token=token, json=manifest(TREE))).status == 204
        found = (await api.call("GET", f"{AGENT}/artifacts/build", token="later")).json
        assert (found["sha256"], found["size"]) == (HEX, len(TREE))
        assert (await api.call("GET", found["url"], token=None)).body == TREE
        assert (await api.call("POST", place, token=token, json=body)).problem == (409, "conflict")
        other = {**manifest(TREE), "files": []}
        assert (await api.call("PUT", f"{place}/manifest", token=token, json=other)).problem == (409, "conflict")
        # The link from before the commit is still valid: it can't replace what is committed.
        for evil in (b"x" * len(TREE), TREE[:-1] + b"x", TREE + b"x"):
            assert (await api.call("PUT", link, token=None, data=evil)).status in (413, 422)
        assert (await api.call("GET", found["url"], token=None)).body == TREE


async def test_first_cache_of_a_key_stays_within_its_pipeline(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        caches, body = f"{AGENT}/caches", {"key": "go-1", "size": len(TREE), "sha256": HEX}
        assert (await api.call("POST", f"{caches}/lookup", token="fetch", json={"key": "go-1"})).status == 404
        late = (await api.call("POST", caches, token=token, json={**body, "size": 1, "sha256": "0" * 64})).json["url"]
        link = (await api.call("POST", caches, token=token, json=body)).json["url"]
        assert (await api.call("PUT", f"{caches}/manifest", token=token, json=body)).problem == (409, "conflict")
        assert (await api.call("PUT", link, token=None, data=TREE)).status == 201
        assert (await api.call("POST", f"{caches}/lookup", token="fetch", json={"key": "go-1"})).status == 404
        for _ in range(2):
            assert (await api.call("PUT", f"{caches}/manifest", token=token, json=body)).status == 204
        # Who asked before and comes late changes nothing.
        assert (await api.call("PUT", late, token=None, data=b"x")).problem == (422, "digest-mismatch")
        other = {**body, "size": 1, "sha256": "0" * 64}
        assert (await api.call("PUT", f"{caches}/manifest", token=token, json=other)).problem == (409, "conflict")
        assert (await api.call("POST", caches, token=token, json=body)).problem == (409, "conflict")
        found = (await api.call("POST", f"{caches}/lookup", token="fetch", json={"key": "go-1"})).json
        assert (found["sha256"], found["size"]) == (HEX, len(TREE))
        assert (await api.call("GET", found["url"], token=None)).body == TREE

        await run_with_step(api, "deploy-1", pipeline={**PIPELINE, "name": "deploy"})
        assert (await api.call("POST", f"{caches}/lookup", token="fetch", json={"key": "go-1"})).status == 404


async def save_cache(api: ApiServer, key: str = "go-1") -> int:
    """The status of the last answer."""
    body = {"key": key, "size": len(TREE), "sha256": HEX}
    answer = await api.call("POST", f"{AGENT}/caches", token="upload", json=body)
    if answer.status == 200:
        assert (await api.call("PUT", answer.json["url"], token=None, data=TREE)).status == 201
        answer = await api.call("PUT", f"{AGENT}/caches/manifest", token="upload", json=body)
    return answer.status


async def finds_cache(api: ApiServer, key: str = "go-1") -> bool:
    return (await api.call("POST", f"{AGENT}/caches/lookup", token="fetch", json={"key": key})).status == 200


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
            answer = await api.call("POST", f"{AGENT}/caches/lookup", token="fetch", json={"key": key})
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


async def test_a_manifest_needs_its_archive(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        path = f"{AGENT}/artifacts/build/1/manifest"
        assert (await api.call("PUT", path, token=token, json=manifest(TREE))).problem == (409, "conflict")
        await api.store.put(f"artifacts/a/uid-of-ci-1/build/1.{HEX}.tar.gz", TREE[:-1])
        assert (await api.call("PUT", path, token=token, json=manifest(TREE))).problem == (409, "conflict")
        assert await api.store.head("artifacts/a/uid-of-ci-1/build/1.json") is None


async def test_artifacts_beyond_the_budget_of_a_run_are_refused_twice(tmp_path: Path) -> None:
    async with run_api(tmp_path, run_artifacts_limit=len(TREE) + 1000) as api:
        token = await run_with_step(api)
        place, body = f"{AGENT}/artifacts/build/1", {"size": len(TREE), "sha256": HEX}
        too_large = await api.call("POST", place, token=token, json={**body, "size": len(TREE) + 1001})
        assert too_large.problem == (413, "over-budget")
        link = (await api.call("POST", place, token=token, json=body)).json["url"]
        assert (await api.call("PUT", link, token=None, data=TREE)).status == 201
        # Another replica let another step store something meanwhile.
        await api.store.put("artifacts/a/uid-of-ci-1/other/1.json", b"x" * 1001)
        commit = await api.call("PUT", f"{place}/manifest", token=token, json=manifest(TREE))
        assert commit.problem == (413, "over-budget")
        assert f"limit is {format_bytes(len(TREE) + 1000)} (--run-artifacts-limit-mib)" in commit.json["detail"]
        assert [path.name for path in stored_objects(api) if "build" in path.parts] == []


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
        assert (await api.call("POST", f"{AGENT}/caches", token="upload", json=body)).problem == (413, "over-budget")
        assert [path.suffix for path in stored_objects(api)] == [".gz"]


async def test_artifacts_are_listed_in_pages(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        await api.store.put(f"artifacts/a/uid-of-ci-1/build/1.{HEX}.tar.gz", TREE)
        entry = manifest(TREE)["files"][0]
        paths = [f"out/{number}" for number in range(2_500)]
        body = {**manifest(TREE), "files": [{**entry, "path": path} for path in paths]}
        path = f"{AGENT}/artifacts/build/1/manifest"
        for _ in range(2):
            assert (await api.call("PUT", path, token=token, json=body)).status == 204
        place = "/api/v1/namespaces/a/runs/ci-1/artifacts"
        assert [each["path"] for each in (await api.call("GET", place)).json["items"]] == paths
        assert (await api.call("GET", f"{place}?step=later")).json == {"items": []}
        found: list[str] = []
        query = "?limit=1100"
        for size in (1100, 1100, 300):
            page = (await api.call("GET", place + query)).json
            assert len(page["items"]) == size
            found += [each["path"] for each in page["items"]]
            query = f"?limit=1100&continue={page.get('continue')}"
        assert found == paths
        assert "continue" not in page
        for wrong in ("limit=0", "limit=10001", "continue=x", "continue=nosuch:5", "continue=build:x"):
            assert (await api.call("GET", f"{place}?{wrong}")).status in (400, 422), wrong


async def test_a_large_manifest_is_read_away_from_the_event_loop(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        await api.store.put(f"artifacts/a/uid-of-ci-1/build/1.{HEX}.tar.gz", TREE)
        body = {**manifest(TREE), "files": manifest(TREE)["files"] * 50_000}
        sent = io.BytesIO(json.dumps(body).encode())
        with LoopWatchdog() as watchdog:
            answer = await api.call("PUT", f"{AGENT}/artifacts/build/1/manifest", token=token, data=sent)
        assert answer.status == 204
        assert watchdog.longest < 0.2


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


async def test_archive_is_served_only_with_its_digest(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        await api.store.put(f"artifacts/a/uid-of-ci-1/build/1.{HEX}.tar.gz", b"x" * len(TREE))
        await api.store.put("artifacts/a/uid-of-ci-1/build/1.json", json.dumps(manifest(TREE)).encode())
        answer = await api.call("GET", "/api/v1/namespaces/a/runs/ci-1/artifacts/build")
        assert answer.problem == (404, "not-found")


@pytest.mark.parametrize("damaged", [b"{", b'{"archive":{"si', b'{"archive":{"size":1,"sha256":"00"},"fi', b"\xff\x00"])
async def test_damaged_manifest_counts_as_missing(tmp_path: Path, damaged: bytes) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        await api.store.put("artifacts/a/uid-of-ci-1/build/1.json", damaged)
        for path in ("", "/build", "/build/files/x"):
            answer = await api.call("GET", f"/api/v1/namespaces/a/runs/ci-1/artifacts{path}")
            assert answer.problem == (404, "not-found")


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
            ("GET", "source", "upload"),
            ("GET", "artifacts/build", "upload"),
            ("POST", "artifacts/build/1", "fetch"),
            ("GET", "workspaces/build/1", "upload"),
            ("GET", "artifacts/build", "aside"),
            ("GET", "artifacts/build", "fetch"),
            ("GET", "artifacts/later", "later"),
        ):
            given = {"json": body} if method == "POST" else {}
            answer = await api.call(method, f"{AGENT}/{path}", token=token, **given)
            assert answer.problem == (403, "forbidden"), (path, token)


ENDED = {"number": 1, "phase": "Succeeded", "times": {"ended": "2026-01-01T00:00:00Z"}}


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


async def test_users_list_and_download_artifacts(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        path = "/api/v1/namespaces/a/runs/ci-1/artifacts"
        assert (await api.call("GET", f"{path}/build")).problem == (404, "not-found")
        assert (await api.call("GET", f"{path}/nosuch")).problem == (404, "not-found")
        await api.store.put(f"artifacts/a/uid-of-ci-1/build/1.{HEX}.tar.gz", TREE)
        await api.store.put("artifacts/a/uid-of-ci-1/build/1.json", json.dumps(manifest(TREE)).encode())
        answer = await api.call("GET", f"{path}/build")
        assert (answer.status, answer.body) == (200, TREE)
        assert answer.headers["Content-Disposition"] == 'attachment; filename="ci-1-build.tar.gz"'
        part = await api.call("GET", f"{path}/build", headers={"Range": "bytes=2-5"})
        assert (part.status, part.body, part.headers["Content-Range"]) == (206, b"tree", f"bytes 2-5/{len(TREE)}")
        files = [{key: file[key] for key in ("path", "size", "sha256")} for file in manifest(TREE)["files"]]
        assert (await api.call("GET", path)).json == {"items": [{"step": "build", **file} for file in files]}


async def test_a_status_with_lists_of_files_is_served_with_counts(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        file = {"path": "dist/a", "size": 7, "sha256": "0" * 64}
        api.kubernetes.status("a", "ci-1", steps=[{"name": "build", "slug": "build", "artifacts": [file]}])
        run = (await api.call("GET", "/api/v1/namespaces/a/runs/ci-1")).json
        assert run["status"]["steps"][0]["artifacts"] == {"files": 1, "bytes": 7}


async def test_artifacts_of_a_failed_step_are_listed(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        await api.store.put(f"artifacts/a/uid-of-ci-1/build/1.{HEX}.tar.gz", TREE)
        commit = await api.call("PUT", f"{AGENT}/artifacts/build/1/manifest", token=token, json=manifest(TREE))
        assert commit.status == 204
        attempts = [{"number": 1, "phase": "Failed"}]
        api.kubernetes.status("a", "ci-1", steps=[{"name": "build", "slug": "build", "attempts": attempts}])
        listed = (await api.call("GET", "/api/v1/namespaces/a/runs/ci-1/artifacts")).json["items"]
        assert [each["path"] for each in listed] == [file["path"] for file in manifest(TREE)["files"]]


async def test_a_run_without_artifacts_lists_none(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        assert (await api.call("GET", "/api/v1/namespaces/a/runs/ci-1/artifacts")).json == {"items": []}


async def test_later_run_of_a_name_has_nothing_of_the_earlier(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await run_with_step(api)
        await api.store.put(f"artifacts/a/uid-of-ci-1/build/1.{HEX}.tar.gz", TREE)
        await api.store.put("artifacts/a/uid-of-ci-1/build/1.json", json.dumps(manifest(TREE)).encode())
        path = "/api/v1/namespaces/a/runs/ci-1/artifacts/build"
        assert (await api.call("GET", path)).body == TREE
        await api.kubernetes.delete(PIPELINE_RUNS, "ci-1", "a")
        await run_with_step(api)
        assert (await api.call("GET", path)).problem == (404, "not-found")


async def test_signed_url_grants_only_what_was_signed(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        await api.store.put("sources/x", b"0123456789")
        link = await api.state.signed_url("sources/x")
        assert (await api.call("GET", link, token=None, headers={"Range": "bytes=-3"})).body == b"789"
        outside = await api.call("GET", link, token=None, headers={"Range": "bytes=10-"})
        assert outside.problem == (416, "range-not-satisfiable")
        for forged in (
            link.replace("sources/x", "sources/y"),
            link.replace("signature=", "signature=0"),
            link.replace("expires=", "expires=9"),
            link.replace("sources/x", "sources%2F..%2F..%2Fx"),
            link.replace("method=GET", "method=PUT"),
        ):
            assert (await api.call("GET", forged, token=None)).problem == (403, "link-invalid"), forged
        assert (await api.call("PUT", link, token=None, data=b"x")).problem == (403, "link-invalid")


async def test_an_upload_by_link_is_bounded(tmp_path: Path) -> None:
    async with run_api(tmp_path, artifact_limit=10) as api:
        link = (await api.state.upload_link("artifacts/x", 10, hashlib.sha256(b"x" * 10).hexdigest()))["url"]
        assert (await api.call("PUT", link, token=None, data=in_pieces(b"x" * 11))).problem == (413, "too-large")
        assert (await api.call("PUT", link, token=None, data=b"x" * 9)).problem == (422, "digest-mismatch")
        for forged in (link.replace("size=10", "size=11"), link.replace("uploads/", "")):
            assert (await api.call("PUT", forged, token=None, data=b"x" * 10)).problem == (403, "link-invalid")
        assert stored_objects(api) == []
