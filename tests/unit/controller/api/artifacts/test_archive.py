"""One file out of a tar.gz, also out of one that lies."""

import gzip
import io
import os
import tarfile
from collections.abc import AsyncIterator, Mapping

import pytest

from controller.api.artifacts.archive import read_file
from controller.storage.errors import BrokenArchiveError
from tests.support.processor_time import takes_at_most


def archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def read(data: bytes, path: str, size: int, limit: int = 1 << 30) -> bytes:
    return b"".join([piece async for piece in read_file(pieces(data), path, size, limit)])


async def test_a_file_is_found_among_others_whatever_its_size() -> None:
    files = {"a": b"x" * 5000, "dir/empty": b"", "dir/ü": bytes(range(256)) * 4000}
    whole = archive(files)
    for path, data in files.items():
        assert await read(whole, path, len(data)) == data


@pytest.mark.parametrize(
    ("path", "size"), [("b", 1), ("a", 4), ("a", 6)], ids=["a file that is not in it", "too short", "too long"]
)
async def test_archive_that_differs_from_its_manifest_is_refused(path: str, size: int) -> None:
    with pytest.raises(BrokenArchiveError):
        await read(archive({"a": b"x" * 5}), path, size)


@pytest.mark.parametrize(
    "data",
    [b"", b"no gzip", gzip.compress(b"no tar" * 500), archive({"a": b"x" * 9999})[:60]],
    ids=["empty", "no gzip", "no tar", "broken off"],
)
async def test_incomplete_archive_is_an_error(data: bytes) -> None:
    with pytest.raises(BrokenArchiveError):
        await read(data, "a", 9999)


async def test_decompression_bomb_is_aborted() -> None:
    bomb = archive({"zeros": bytes(20_000_000), "a": b"x"})
    assert len(bomb) < 100_000
    with pytest.raises(BrokenArchiveError, match="more than"):
        await read(bomb, "a", 1, limit=1_000_000)


async def test_a_link_in_the_place_of_a_file_is_not_followed() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        link = tarfile.TarInfo("a")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(BrokenArchiveError):
        await read(buffer.getvalue(), "a", 0)


async def test_a_bomb_is_aborted_while_it_is_unpacked() -> None:
    bomb = archive({"zeros": bytes(200_000_000), "a": b"x"})
    with takes_at_most(0.5), pytest.raises(BrokenArchiveError, match="more than"):
        await read(bomb, "a", 1, limit=1_000_000)


async def test_huge_extension_headers_are_refused() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers=None) as tar:
        member = tarfile.TarInfo("a")
        member.pax_headers = {"comment": "x" * 50_000_000}
        tar.addfile(member)
    with pytest.raises(BrokenArchiveError, match="too long"):
        await read(buffer.getvalue(), "a", 0)


async def test_a_name_that_is_not_utf_8_is_found_as_it_is_listed() -> None:
    listed = b"caf\xe9".decode("utf-8", "replace")
    assert await read(archive({os.fsdecode(b"caf\xe9"): b"coffee"}), listed, 6) == b"coffee"
