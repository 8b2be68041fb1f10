"""Uploaded sources: stored by digest, bounded, and kept as long as runs use them."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.unit.controller.api.fakes import run_api
from tests.unit.controller.api.http.transfers import (
    HEX,
    PIPELINE,
    SOURCES,
    TREE,
    in_pieces,
    source_key,
    stored_objects,
)


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
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        assert answer.startswith(b"HTTP/1.1 504")
        writer.close()
        await writer.wait_closed()
        assert stored_objects(api) == []
