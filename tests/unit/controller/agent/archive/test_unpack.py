"""Extracting harmless and hostile archives."""

import contextlib
import gzip
import io
import os
import stat
import tarfile
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.agent.archive.pack import pack
from controller.agent.archive.unpack import Extractor
from controller.agent.errors import AgentError
from tests.support.processor_time import takes_at_most


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, target: str = "", data: bytes = b"", mode: int = 0o644
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode, info.mtime = kind, target, len(data), mode, 1_700_000_000
    info.pax_headers = {}
    return info


def archive(*entries: tuple[tarfile.TarInfo, bytes], form: Literal[0, 1, 2] = tarfile.PAX_FORMAT) -> bytes:
    whole = b""
    for info, data in entries:
        whole += info.tobuf(form, "utf-8", "surrogateescape") + data + bytes(-len(data) % 512)
    return gzip.compress(whole + bytes(1024))


def file(name: str, data: bytes = b"x", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, data=data, mode=mode), data


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, tarfile.SYMTYPE, target), b""


def unpack(root: Path, packed: bytes, **caps: int) -> Extractor:
    extractor = Extractor(str(root), **caps)
    try:
        extractor.unpack(io.BytesIO(packed))
    finally:
        extractor.close()
    return extractor


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("kept")
    made = tmp_path / "workspace"
    made.mkdir()
    return made


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_files_directories_and_links_are_extracted(root: Path, form: Literal[0, 1, 2]) -> None:
    long = "d" * 90 + "/" + "e" * 60
    packed = archive(
        (entry("bin", tarfile.DIRTYPE, mode=0o750), b""),
        file("bin/run", b"#!/bin/sh\n", 0o755),
        file(long, bytes(1000)),
        file("empty", b""),
        link("bin/up", "../empty"),
        link("down", "bin/run"),
        form=form,
    )
    assert unpack(root, packed).files == 5
    assert (root / "bin/run").read_bytes() == b"#!/bin/sh\n"
    assert stat.S_IMODE((root / "bin/run").stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "bin").stat().st_mode) == 0o750
    assert (root / "bin/run").stat().st_mtime == 1_700_000_000
    assert (root / long).stat().st_size == 1000
    assert (root / "bin/up").readlink() == Path("../empty")
    assert (root / "down").resolve() == root / "bin/run"


def test_later_archive_replaces_files_and_links(root: Path) -> None:
    unpack(root, archive(file("a", b"old"), link("l", "a")))
    unpack(root, archive(file("a", b"new"), file("l", b"a file now")))
    assert (root / "a").read_bytes() == b"new"
    assert (root / "l").read_bytes() == b"a file now"
    assert not (root / "l").is_symlink()


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ([file("/etc/passwd")], "/etc/passwd"),
        ([file("../outside/kept")], "../outside/kept"),
        ([file("a/../../outside/kept")], "a/../../outside/kept"),
        ([(entry("..", tarfile.DIRTYPE), b"")], ".."),
        ([link("l", "/etc")], "l"),
        ([link("l", "../outside")], "l"),
        ([link("a/b/l", "../../../outside")], "a/b/l"),
        ([link("d", "."), link("e", "d/..")], "e"),
        ([link("l", "a/../../outside")], "l"),
        ([link("l", "")], "l"),
        ([link("l", "sub"), file("l/f")], "l/f"),
        ([(entry("sub", tarfile.DIRTYPE), b""), link("l", "sub"), file("l/f")], "l/f"),
        ([link("l", "sub"), (entry("l", tarfile.DIRTYPE), b"")], "l"),
        ([file("f"), file("f/g")], "f/g"),
        ([(entry("d", tarfile.DIRTYPE), b""), file("d")], "d"),
        ([file("f"), (entry("h", tarfile.LNKTYPE, "f"), b"")], "h"),
        ([(entry("h", tarfile.LNKTYPE, "/etc/passwd"), b"")], "h"),
        ([(entry("null", tarfile.CHRTYPE), b"")], "null"),
        ([(entry("disk", tarfile.BLKTYPE), b"")], "disk"),
        ([(entry("pipe", tarfile.FIFOTYPE), b"")], "pipe"),
        ([(entry("odd", b"Z"), b"")], "odd"),
        ([(entry("", tarfile.REGTYPE), b"")], ""),
    ],
)
def test_entry_that_could_leave_the_root_is_refused_by_name(
    root: Path, entries: list[tuple[tarfile.TarInfo, bytes]], named: str
) -> None:
    with pytest.raises(AgentError) as caught:
        unpack(root, archive(*entries))
    assert named in str(caught.value)
    assert sorted(path.name for path in (root.parent / "outside").iterdir()) == ["kept"]
    assert (root.parent / "outside" / "kept").read_text() == "kept"


def test_existing_link_in_the_workspace_is_not_followed(root: Path) -> None:
    (root / "l").symlink_to(root.parent / "outside")
    with pytest.raises(AgentError, match="which is a link"):
        unpack(root, archive(file("l/kept", b"overwritten")))
    assert (root.parent / "outside" / "kept").read_text() == "kept"


def test_path_of_a_pax_header_is_checked(root: Path) -> None:
    info = entry("harmless", data=b"x")
    info.pax_headers = {"path": "../outside/evil"}
    with pytest.raises(AgentError, match="outside/evil"):
        unpack(root, archive((info, b"x")))


def test_control_characters_of_a_name_are_not_printed(root: Path) -> None:
    with pytest.raises(AgentError) as caught:
        unpack(root, archive(file("/a\n\x1b[31mfetched")))
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_number_of_entries_and_bytes_is_limited(root: Path) -> None:
    with pytest.raises(AgentError, match="more than 3 entries"):
        unpack(root, archive(*[file(f"f{number}") for number in range(4)]), max_entries=3)
    with pytest.raises(AgentError, match="more than 1000 bytes"):
        unpack(root, archive(file("a", bytes(600)), file("b", bytes(600))), max_bytes=1000)


def test_decompression_bomb_is_refused_before_it_fills_the_disk(root: Path) -> None:
    bomb = archive(file("zeros", bytes(50_000_000)))
    with pytest.raises(AgentError, match="more than"):
        unpack(root, bomb, max_bytes=1_000_000)
    assert sum(path.stat().st_size for path in root.rglob("*")) == 0
    info = entry("liar")
    info.size = 10**15
    with pytest.raises(AgentError):
        unpack(root, archive((info, b"short")))


@pytest.mark.parametrize("cut", [10, 100, -20, -1])
def test_damaged_archive_is_refused(root: Path, cut: int) -> None:
    packed = archive(file("a", os.urandom(5000)))
    with pytest.raises(AgentError):
        unpack(root, packed[:cut] if cut > 0 else packed[: len(packed) // 2])
    with pytest.raises(AgentError):
        unpack(root, b"this is not gzip")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600), st.integers(0, 511))
def test_random_bytes_raise_no_other_error(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int) -> None:
    folder = tmp_path_factory.mktemp("noise")
    root = folder / "root"
    root.mkdir()
    whole = bytearray(entry("name").tobuf() + bytes(1024))
    whole[at : at + len(noise)] = noise
    with contextlib.suppress(AgentError):
        unpack(root, gzip.compress(bytes(whole)))
    assert list(folder.iterdir()) == [root], "nothing is written elsewhere"


names = st.text("abé .-", min_size=1, max_size=60).map(str.strip).filter(lambda name: name not in ("", ".", ".."))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.lists(names, min_size=1, max_size=5).map("/".join), st.binary(max_size=2000), max_size=6))
def test_packed_files_are_extracted_unchanged(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, bytes]
) -> None:
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    made: dict[str, bytes] = {}
    for name, data in wanted.items():
        try:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(data)
            made[name] = data
        except OSError:
            continue
    packed = io.BytesIO()
    result = pack(str(source), sorted(made), packed)
    assert result.size == len(packed.getvalue())
    unpack(target, packed.getvalue())
    found = {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert found == made
    with tarfile.open(fileobj=io.BytesIO(packed.getvalue())) as other:
        assert sorted(other.getnames()) == sorted(made)
    assert [each["path"] for each in result.files] == sorted(made)


def test_extension_header_of_many_records_is_read_in_linear_time(root: Path) -> None:
    records = b"6 a=b\n" * 170_000
    header = entry("@extra", tarfile.XHDTYPE, data=records).tobuf(tarfile.USTAR_FORMAT)
    data = gzip.compress(header + records + bytes(-len(records) % 512) + file("a")[0].tobuf() + b"x".ljust(512, b"\0"))
    extractor = Extractor(str(root))
    try:
        with takes_at_most(2):
            extractor.unpack(io.BytesIO(data))
    finally:
        extractor.close()
    assert (root / "a").read_bytes() == b"x"
