"""Artifacts in and out: the agent's uploads, manifests, lists, and signed links."""

import hashlib
import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from controller.api.artifacts.budgets import format_bytes
from controller.api.routes.agent import artifacts
from controller.api.routes.agent.artifacts import encode_manifest
from controller.kube import PIPELINE_RUNS
from tests.unit.controller.api.fakes import run_api
from tests.unit.controller.api.http.transfers import (
    AGENT,
    HEX,
    TREE,
    in_pieces,
    manifest,
    run_with_step,
    stored_objects,
)


async def test_an_agent_fetches_uploads_and_commits(tmp_path: Path) -> None:
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        source = (await api.call("GET", f"{AGENT}/source", token="build")).json
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


async def test_a_large_manifest_is_read_away_from_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def encode(*arguments: Any) -> Any:
        threads.append(threading.get_ident())
        return encode_manifest(*arguments)

    monkeypatch.setattr(artifacts, "encode_manifest", encode)
    async with run_api(tmp_path) as api:
        token = await run_with_step(api)
        await api.store.put(f"artifacts/a/uid-of-ci-1/build/1.{HEX}.tar.gz", TREE)
        body = {**manifest(TREE), "files": manifest(TREE)["files"] * 50_000}
        sent = io.BytesIO(json.dumps(body).encode())
        answer = await api.call("PUT", f"{AGENT}/artifacts/build/1/manifest", token=token, data=sent)
        assert answer.status == 204
    assert len(threads) == 1
    assert threading.get_ident() not in threads


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
