"""Sources that are put together of a stored one and of new bytes, over HTTP."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import Any

import pytest

from tests.integration.api.conftest import Caller
from tests.integration.api.test_whole_path import ended, start, step

pytestmark = pytest.mark.xdist_group("controller")


def member(name: str, content: str) -> bytes:
    """One file as a gzip member, without the end of the archive."""
    packed = io.BytesIO()
    info = tarfile.TarInfo(name)
    info.size = len(content)
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(info, io.BytesIO(content.encode()))
        end = packed.tell()
    return gzip.compress(packed.getvalue()[:end], mtime=0)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


END = gzip.compress(bytes(1024), mtime=0)
FIRST, OLD, NEW = member("first.txt", "first\n"), member("second.txt", "old\n"), member("second.txt", "new\n")
BASE, WANTED = FIRST + OLD + END, FIRST + NEW + END


def request_body(*, size: int = len(NEW), new: bytes = NEW) -> bytes:
    pieces = [{"from": 0, "size": len(FIRST)}, {"size": size}, {"from": len(FIRST + OLD), "size": len(END)}]
    return json.dumps({"pieces": pieces}).encode() + b"\n" + new


async def send(api: Caller, body: bytes, *, wanted: bytes = WANTED, base: bytes = BASE) -> tuple[int, Any]:
    status, answer = await api("PUT", f"sources/{digest(wanted)}/delta?base={digest(base)}", data=body)
    return status, answer


async def test_run_gets_the_files_of_both(api: Caller) -> None:
    assert (await send(api, request_body()))[0] == 404, "nothing to copy from yet"
    await api("PUT", f"sources/{digest(BASE)}", data=BASE, headers={"Content-Type": "application/gzip"})
    for body, expected in (
        (request_body(new=OLD, size=len(OLD)), "digest-mismatch"),
        (request_body(new=NEW[:-1]), "bad-request"),
        (request_body(new=NEW + b"x"), "bad-request"),
        (b"nothing", "bad-request"),
    ):
        status, problem = await send(api, body)
        assert (400 <= status < 500, problem["type"].rpartition("/")[2].rpartition(":")[2]) == (True, expected)
        assert (await api("HEAD", f"sources/{digest(WANTED)}"))[0] == 404, "nothing of it is stored"
    status, stored = await send(api, request_body())
    assert (status, stored) == (201, {"digest": digest(WANTED), "size": len(WANTED)})
    run = await start(
        api, "delta", step("read", "cat first.txt second.txt"), source={"archive": {"digest": digest(WANTED)}}
    )
    assert (await ended(api, run["name"]))["status"]["phase"] == "Succeeded"
    assert await api("GET", f"runs/{run['name']}/steps/read/logs") == (200, b"first\nnew\n")
