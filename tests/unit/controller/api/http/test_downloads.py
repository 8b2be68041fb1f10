"""Bytes in and out: sources, artifacts, signed links, and the agent's door to them."""

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.kube import PIPELINE_RUNS
from tests.unit.controller.api.fakes import ApiServer, FakeCapability, run_api

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


async def test_a_source_is_stored_by_its_digest(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        path = f"{SOURCES}/sha256:{HEX}"
        assert (await api.call("HEAD", path)).status == 404
        answer = await api.call("PUT", path, data=in_pieces(TREE))
        assert (answer.status, answer.json) == (201, {"digest": f"sha256:{HEX}", "size": len(TREE)})
        assert (await api.call("HEAD", path)).status == 200
        assert await api.store.get(f"sources/{HEX}.tar.gz") == TREE
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


async def run_with_step(api: ApiServer) -> str:
    """A run `ci-1` with a source and a step `build` in its first attempt; the token of its agent."""
    await api.store.put(f"sources/{HEX}.tar.gz", TREE)
    spec = {"pipeline": {"name": "ci"}, "source": {"archive": {"digest": f"sha256:{HEX}"}}}
    run = await api.kubernetes.create(
        PIPELINE_RUNS, {"metadata": {"name": "ci-1", "namespace": "a"}, "spec": spec}, "a"
    )
    steps = [{"name": "build", "slug": "build", "attempts": [{"number": 1}]}, {"name": "later", "slug": "later"}]
    api.kubernetes.status("a", "ci-1", phase="Running", steps=steps)
    api.capabilities["cap"] = FakeCapability("a", "ci-1", run["metadata"]["uid"])
    return "cap"


def manifest(data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {
        "files": [{"path": "dist/a", "size": 1, "sha256": "0" * 64, "mode": 0o644}],
        "archive": {"size": len(data), "sha256": digest},
    }


async def test_an_agent_fetches_uploads_and_commits(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        source = (await api.call("GET", f"{AGENT}/source", token=token)).json
        assert (source["sha256"], source["size"]) == (HEX, len(TREE))
        assert (await api.call("GET", source["url"], token=None)).body == TREE

        place = f"{AGENT}/artifacts/build/1"
        body = {"size": len(TREE), "sha256": HEX}
        link = (await api.call("POST", place, token=token, json=body)).json["url"]
        assert (await api.call("PUT", link, token=None, data=TREE)).status == 201
        assert (await api.call("GET", f"{AGENT}/artifacts/build", token=token)).problem == (404, "not-found")
        for _ in range(2):
            assert (await api.call("PUT", f"{place}/manifest", token=token, json=manifest(TREE))).status == 204
        found = (await api.call("GET", f"{AGENT}/artifacts/build", token=token)).json
        assert (found["sha256"], found["size"]) == (HEX, len(TREE))
        assert (await api.call("GET", found["url"], token=None)).body == TREE
        assert (await api.call("POST", place, token=token, json=body)).problem == (409, "conflict")
        other = {**manifest(TREE), "files": []}
        assert (await api.call("PUT", f"{place}/manifest", token=token, json=other)).problem == (409, "conflict")
        # The link from before the commit is still valid: it can't replace what is committed.
        assert (await api.call("PUT", link, token=None, data=b"evil")).problem == (422, "digest-mismatch")
        assert (await api.call("GET", found["url"], token=None)).body == TREE


async def test_first_cache_of_a_key_stays_within_its_pipeline(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        caches, body = f"{AGENT}/caches", {"key": "go-1", "size": len(TREE), "sha256": HEX}
        assert (await api.call("POST", f"{caches}/lookup", token=token, json={"key": "go-1"})).status == 404
        late = (await api.call("POST", caches, token=token, json={**body, "size": 1, "sha256": "0" * 64})).json["url"]
        link = (await api.call("POST", caches, token=token, json=body)).json["url"]
        assert (await api.call("PUT", f"{caches}/manifest", token=token, json=body)).problem == (409, "conflict")
        assert (await api.call("PUT", link, token=None, data=TREE)).status == 201
        assert (await api.call("POST", f"{caches}/lookup", token=token, json={"key": "go-1"})).status == 404
        for _ in range(2):
            assert (await api.call("PUT", f"{caches}/manifest", token=token, json=body)).status == 204
        # Who asked before and comes late changes nothing.
        assert (await api.call("PUT", late, token=None, data=b"x")).problem == (422, "digest-mismatch")
        other = {**body, "size": 1, "sha256": "0" * 64}
        assert (await api.call("PUT", f"{caches}/manifest", token=token, json=other)).problem == (409, "conflict")
        assert (await api.call("POST", caches, token=token, json=body)).problem == (409, "conflict")
        found = (await api.call("POST", f"{caches}/lookup", token=token, json={"key": "go-1"})).json
        assert (found["sha256"], found["size"]) == (HEX, len(TREE))
        assert (await api.call("GET", found["url"], token=None)).body == TREE

        spec = {"pipeline": {"name": "deploy"}}
        made = {"metadata": {"name": "deploy-1", "namespace": "a"}, "spec": spec}
        run = await api.kubernetes.create(PIPELINE_RUNS, made, "a")
        api.capabilities["else"] = FakeCapability("a", "deploy-1", run["metadata"]["uid"])
        assert (await api.call("POST", f"{caches}/lookup", token="else", json={"key": "go-1"})).status == 404


async def test_cache_over_the_limit_is_refused(tmp_path: Path) -> None:
    async with run_api(tmp_path, cache_limit=len(TREE) - 1) as api:
        token = await run_with_step(api)
        body = {"key": "go-1", "size": len(TREE), "sha256": HEX}
        assert (await api.call("POST", f"{AGENT}/caches", token=token, json=body)).problem == (413, "too-large")
        path = f"{AGENT}/caches/manifest"
        assert (await api.call("PUT", path, token=token, json=body)).problem == (413, "too-large")


async def test_using_a_cache_gives_it_a_new_date_once_a_day(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        name = hashlib.sha256(b"go-1").hexdigest()
        await api.store.put(f"caches/a/ci/{name}.{HEX}.tar.gz", TREE)
        await api.store.put(f"caches/a/ci/{name}.json", json.dumps({"sha256": HEX}).encode())
        document = next(path for path in stored_objects(api) if path.name == f"{name}.json")
        for age, renewed in ((3600, False), (2 * 86400, True)):
            before = time.time() - age
            os.utime(document, (before, before))
            answer = await api.call("POST", f"{AGENT}/caches/lookup", token=token, json={"key": "go-1"})
            assert answer.status == 200
            assert (document.stat().st_mtime > before + 60) is renewed


async def test_a_manifest_needs_its_archive(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        path = f"{AGENT}/artifacts/build/1/manifest"
        assert (await api.call("PUT", path, token=token, json=manifest(TREE))).problem == (409, "conflict")
        await api.store.put(f"artifacts/a/uid-of-ci-1/build/1.{HEX}.tar.gz", TREE[:-1])
        assert (await api.call("PUT", path, token=token, json=manifest(TREE))).problem == (409, "conflict")
        assert await api.store.head("artifacts/a/uid-of-ci-1/build/1.json") is None


async def test_an_agent_reaches_nothing_but_its_run(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        await api.store.put("artifacts/a/uid-of-other-1/build/1.json", b"{}")
        body = {"size": 1, "sha256": HEX}
        for place in ("nosuch/1", "build/3", "build/0", "build/x", "..%2f..%2fb/1"):
            assert (await api.call("POST", f"{AGENT}/artifacts/{place}", token=token, json=body)).status == 404, place
        api.capabilities["old"] = FakeCapability("a", "ci-1", "the-uid-of-a-run-that-is-gone")
        assert (await api.call("GET", f"{AGENT}/source", token="old")).problem == (401, "unauthenticated")


async def test_agent_is_served_before_the_cache_has_its_step(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        api.kubernetes.lagging = True
        api.kubernetes.status("a", "ci-1", steps=[{"name": "quick", "slug": "quick", "attempts": []}])
        body = {"size": 1, "sha256": HEX}
        assert (await api.call("POST", f"{AGENT}/artifacts/quick/1", token=token, json=body)).status == 200


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
        link = await api.state.signed_url("GET", "sources/x")
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
        link = await api.state.signed_url("PUT", "artifacts/x")
        assert (await api.call("PUT", link, token=None, data=in_pieces(b"x" * 11))).problem == (413, "too-large")
        assert stored_objects(api) == []
