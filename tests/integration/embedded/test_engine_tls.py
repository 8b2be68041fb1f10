"""An engine that is reached by TLS, as `docker context` and DOCKER_TLS_VERIFY name it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from embedded.kubelet.runtime.engine.connection.address import candidates
from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.connection.detect import FoundEngine, find_engine
from embedded.kubelet.runtime.unavailable import RuntimeUnavailableError
from tests.integration.embedded.conftest import Cluster, run_engine_cluster
from tests.integration.embedded.test_exec import run_command, start_pod
from tests.support.engine import TEST_IMAGE, import_image, root_file_system
from tests.support.engine_tls import make_certificates, tls_engine

pytestmark = pytest.mark.engine
__all__ = ["tls_engine"]


@pytest.fixture
async def found(tls_engine: dict[str, str], tmp_path: Path) -> FoundEngine:
    found = await asyncio.to_thread(find_engine, "docker", tls_engine, tmp_path)
    busybox = shutil.which("busybox")
    assert busybox is not None
    async with EngineClient(found.address) as client:
        await import_image(client, TEST_IMAGE, root_file_system(busybox))
    return found


@pytest.fixture
async def tls_cluster(tmp_path: Path, found: FoundEngine) -> AsyncIterator[Cluster]:
    async with run_engine_cluster(tmp_path / "cluster", found) as made:
        # The network of the tests' daemon leads nowhere.
        made.pod_defaults["hostNetwork"] = True
        yield made


async def test_pods_run_and_their_output_is_complete(tls_cluster: Cluster) -> None:
    tls_cluster.pod("i=0; while [ $i -lt 20000 ]; do echo line-$i; i=$((i+1)); done; exit 7")
    pod = await tls_cluster.wait_until_finished()
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7
    assert await tls_cluster.log() == b"".join(b"line-%d\n" % number for number in range(20_000))


async def test_commands_get_their_stdin_and_learn_that_it_has_ended(tls_cluster: Cluster) -> None:
    await start_pod(tls_cluster)
    content = bytes(range(256)) * 20_000
    assert await run_command(tls_cluster, "cat", given=content, stdin=True) == (0, content, b"")
    assert await run_command(tls_cluster, "sh", "-c", "cat >&2; exit 3", given=b"x", stdin=True) == (3, b"", b"x")
    code, out, _ = await run_command(tls_cluster, "cat", given=b"typed\n", stdin=True, tty=True)
    assert (code, out) == (0, b"typed\r\ntyped\r\n")


async def test_other_certificates_are_refused_with_the_reason(tls_engine: dict[str, str], tmp_path: Path) -> None:
    def error(certificates: Path) -> str:
        with pytest.raises(RuntimeUnavailableError) as raised:
            find_engine("docker", tls_engine | {"DOCKER_CERT_PATH": str(certificates)}, tmp_path)
        return str(raised.value)

    make_certificates(tmp_path / "others")
    assert "its certificate is refused" in await asyncio.to_thread(error, tmp_path / "others")
    assert "no certificates for TLS in" in await asyncio.to_thread(error, tmp_path)
    own = Path(tls_engine["DOCKER_CERT_PATH"])
    for name in ("cert.pem", "key.pem"):
        shutil.copy(tmp_path / "others" / name, tmp_path)
    shutil.copy(own / "ca.pem", tmp_path)
    assert "TLS failed" in await asyncio.to_thread(error, tmp_path)
    (tmp_path / "key.pem").unlink()
    assert "needs both" in await asyncio.to_thread(error, tmp_path)
    (tmp_path / "key.pem").write_text("no key")
    assert "can't be used (cert.pem)" in await asyncio.to_thread(error, tmp_path)


async def test_a_context_of_docker_is_used_with_its_certificates(tls_engine: dict[str, str], tmp_path: Path) -> None:
    contexts = tmp_path / ".docker/contexts"
    shutil.copytree(tls_engine["DOCKER_CERT_PATH"], contexts / "tls/abc/docker")
    (contexts / "meta/abc").mkdir(parents=True)
    meta = {"Name": "far", "Endpoints": {"docker": {"Host": tls_engine["DOCKER_HOST"]}}}
    (contexts / "meta/abc/meta.json").write_text(json.dumps(meta))
    environment = {"DOCKER_CONTEXT": "far"}
    assert candidates("docker", environment, tmp_path)[0].startswith(f"{tls_engine['DOCKER_HOST']}?certificates=")
    found = await asyncio.to_thread(find_engine, "docker", environment, tmp_path)
    async with EngineClient(found.address) as client:
        assert (await client.get("/_ping")) == "OK"
