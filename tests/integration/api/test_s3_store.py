"""A controller whose object store is a real S3 server: runs with artifacts, caches and logs."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from controller.storage.create_bucket import ensure_bucket
from controller.storage.s3_client import S3Credentials, create_client
from tests.integration.api.conftest import SECONDS, WORKBENCH, Caller, Sandbox
from tests.integration.api.test_whole_path import ended, start, step, tree
from tests.support.seaweedfs import ACCESS_KEY, SECRET_KEY, SeaweedServer
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.needs("weed"), pytest.mark.xdist_group("s3"), pytest.mark.timeout(300)]
BUCKET = "runs"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    found = SeaweedServer(tmp_path_factory.mktemp("s3"))
    try:
        found.start()
        client = create_client(found.url, "us-east-1", S3Credentials(ACCESS_KEY, SECRET_KEY))
        ensure_bucket(client, BUCKET, timeout=30)
        client.close()
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def sandbox_on_s3(server: SeaweedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    url = f"s3://{BUCKET}?endpoint={server.url}&prefix=ci"
    found = Sandbox(tmp_path_factory.mktemp("on-s3"), store=url, environment=server.environment)
    try:
        found.start_cluster()
        found.start_controller()
        wait_until(found.ready, 2 * SECONDS, what="the controller is ready")
        yield found
    finally:
        found.stop()


@pytest.fixture
async def api(sandbox_on_s3: Sandbox) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Caller(sandbox_on_s3.url, session, WORKBENCH)


async def test_sources_artifacts_and_logs_go_through_the_store(api: Caller, server: SeaweedServer) -> None:
    digest, data = tree(src__a="content")
    assert (await api("PUT", f"sources/{digest}", data=data))[0] == 201
    make = step("make", "mkdir dist", "cat src/a src/a > dist/b", "echo made", artifacts=["dist/**"])
    use = step("use", "cat dist/b", dependsOn=["make"])
    run = await start(api, "files", make, use, source={"archive": {"digest": digest}})
    found = await ended(api, run["name"])
    assert found["status"]["phase"] == "Succeeded", found["status"]
    assert await api("GET", f"runs/{run['name']}/steps/use/logs") == (200, b"contentcontent")
    _, packed = await api("GET", f"runs/{run['name']}/artifacts/make")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.extractfile("dist/b").read() == b"contentcontent"  # type: ignore[union-attr]


async def test_downloads_lead_to_the_store_with_type_and_name(api: Caller, server: SeaweedServer) -> None:
    run = await start(api, "links", step("make", "echo made | tee out", artifacts=["out"]))
    await ended(api, run["name"])
    for path, content_type, suffix in (
        (f"runs/{run['name']}/artifacts/make?redirect=true", "application/gzip", "-make.tar.gz"),
        (f"runs/{run['name']}/steps/make/logs?redirect=true", "text/plain; charset=utf-8", "-make.log"),
    ):
        async with api.http.get(f"{api.base}/{path}", headers=api.headers, allow_redirects=False) as answer:
            assert answer.status == 302
            address = answer.headers["Location"]
        assert address.startswith(f"{server.url}/{BUCKET}/ci/")
        async with api.http.get(address) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
            assert f'filename="{run["name"]}{suffix}"' in answer.headers["Content-Disposition"]
            await answer.read()


async def test_cache_is_saved_and_restored(api: Caller) -> None:
    cached = step(
        "build",
        "test -f .cache/tool && echo found || echo none",
        "mkdir -p .cache && echo tool > .cache/tool",
        cache=[{"key": "v1", "paths": [".cache"]}],
    )
    outputs = []
    for _ in range(2):
        run = await start(api, "cached", cached)
        assert (await ended(api, run["name"]))["status"]["phase"] == "Succeeded"
        outputs.append((await api("GET", f"runs/{run['name']}/steps/build/logs"))[1])
    assert outputs == [b"none\n", b"found\n"]


async def test_run_survives_a_restart_of_the_store(api: Caller, server: SeaweedServer) -> None:
    make = step("make", "echo before; seq 1000 > out", artifacts=["out"])
    run = await start(api, "restart", make, step("use", "wc -l < out", dependsOn=["make"]))
    server.kill()
    server.start()
    found = await ended(api, run["name"])
    assert found["status"]["phase"] == "Succeeded", found["status"]
    assert await api("GET", f"runs/{run['name']}/steps/use/logs") == (200, b"1000\n")
