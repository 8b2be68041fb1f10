"""The files of an archive with their fingerprints."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest

from controller.agent.archive.listing import list_files
from controller.agent.errors import AgentError


def tar_of(*entries: tuple[str, bytes | str, int]) -> io.BytesIO:
    """Files with their content and mode, links with their target."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content, mode in entries:
            info = tarfile.TarInfo(name)
            info.mode = mode
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    packed.seek(0)
    return packed


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_files_and_links_have_fingerprints() -> None:
    archive = tar_of(("a/b", b"1", 0o644), ("./run", b"2", 0o755), ("link", "a/b", 0o777))
    assert list_files(archive.read) == {
        "a/b": f"file {digest(b'1')}",
        "run": f"executable {digest(b'2')}",
        "link": "link a/b",
    }


def test_later_entry_of_a_path_counts_as_when_extracted() -> None:
    assert list_files(tar_of(("a", b"1", 0o644), ("a", b"2", 0o644)).read) == {"a": f"file {digest(b'2')}"}


def test_archive_that_would_be_refused_has_no_files() -> None:
    with pytest.raises(AgentError, match="in its path"):
        list_files(tar_of(("../a", b"1", 0o644)).read)
