"""Previews of files, ordinary and hostile."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from controller.worker import MEBIBYTE, LimitedWorker, WorkLimitError, WorkLimits
from tests.support.tools import skip_unless_required
from workbench.preview import Preview, render_preview
from workbench.preview.render import MAX_LINES

_SGR = re.compile(r"\x1b\[[0-9;]*m")


def preview(path: Path, content: bytes, name: str, *, width: int = 80, colours: bool = True) -> Preview:
    file = path / "copy"
    file.write_bytes(content)
    return render_preview(str(file), name, width, 24, colours)


def plain(found: Preview) -> str:
    return "\n".join(_SGR.sub("", line) for line in found.lines)


def test_text_is_shown_line_by_line(tmp_path: Path) -> None:
    found = preview(tmp_path, "one\ntwo ✓\n".encode(), "log.txt")
    assert (found.kind, found.lines, found.note, found.numbered) == ("text", ("one", "two ✓"), None, True)


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    assert preview(tmp_path, b"", "x").kind == "empty file"


def test_json_is_indented(tmp_path: Path) -> None:
    found = preview(tmp_path, b'{"b":[1,2],"a":"\xc3\xa4"}', "report.json")
    assert found.kind == "JSON"
    assert json.loads(plain(found)) == {"b": [1, 2], "a": "ä"}
    assert len(found.lines) == 7


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[" * 3_000 + "]" * 3_000, "9" * 10_000, '{"a": 1,}'])
def test_what_is_no_json_is_shown_as_text(text: str, tmp_path: Path) -> None:
    found = preview(tmp_path, text.encode(), "report.json")
    assert found.kind == "text"
    assert found.note is not None


def test_json_that_is_huge_when_indented_is_cut(tmp_path: Path) -> None:
    text = "[" * 400 + ",".join(["1"] * 200_000) + "]" * 400
    found = preview(tmp_path, text.encode(), "report.json")
    assert len(found.lines) <= MAX_LINES
    assert found.note == "Only its first part is shown."


def test_half_a_character_in_json_is_no_failure(tmp_path: Path) -> None:
    assert preview(tmp_path, b'["\\ud800"]', "x.json").lines[1].strip() == '"?"'


def test_markdown_is_rendered_without_links_to_click(tmp_path: Path) -> None:
    found = preview(tmp_path, b"# Title\n\n* item\n\n[here](http://evil.example)\n\x1b]8;;http://x\x07hm", "README.md")
    assert found.kind == "Markdown"
    assert "Title" in plain(found)
    assert "• item" in plain(found)
    assert "\x1b]" not in "".join(found.lines)


def test_a_binary_file_is_shown_in_hexadecimal(tmp_path: Path) -> None:
    found = preview(tmp_path, b"\x7fELF\x00\x01" + b"A" * 20, "tool")
    assert found.kind == "binary file"
    assert found.lines[0] == "00000000: 7f45 4c46 0001 4141 4141 4141 4141 4141  .ELF..AAAAAAAAAA"


def test_a_character_that_is_cut_at_the_end_of_the_beginning_is_text(tmp_path: Path) -> None:
    assert preview(tmp_path, b"a" * 8_191 + "ä".encode() * 9, "x").kind == "text"


def tar(*members: tuple[str, bytes], mode: str = "w:gz") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return made.getvalue()


@pytest.mark.parametrize(("mode", "kind"), [("w:gz", "tar.gz"), ("w:xz", "tar.xz"), ("w:bz2", "tar.bz2"), ("w", "tar")])
def test_archives_are_listed_and_not_unpacked(mode: str, kind: str, tmp_path: Path) -> None:
    found = preview(tmp_path, tar(("../evil\n\x1b[2J", b"x" * 1234), mode=mode), "dist")
    assert found.kind == f"{kind} archive, 2 entries"
    assert "1,234" in found.lines[0]
    assert "../evil" in found.lines[0]
    assert "\x1b" not in found.lines[0]
    assert found.lines[1].startswith("l")
    assert found.lines[1].endswith("link → /etc/passwd")
    assert [each.name for each in tmp_path.iterdir()] == ["copy"]


def test_zip_archives_are_listed(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("dist/app.js", b"x" * 10)
    found = preview(tmp_path, made.getvalue(), "dist.whl")
    assert found.kind == "zip archive, 1 entry"
    assert found.lines[0].endswith("dist/app.js")


def test_a_compressed_text_is_shown(tmp_path: Path) -> None:
    found = preview(tmp_path, gzip.compress(b"one\ntwo\n"), "log.gz")
    assert (found.kind, found.lines) == ("gz file", ("one", "two"))


@pytest.mark.parametrize("magic", [b"PK\x03\x04", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd",
                                   b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF0000WEBP"])  # fmt: skip
def test_damaged_files_are_no_failure(magic: bytes, tmp_path: Path) -> None:
    found = preview(tmp_path, magic + os.urandom(500), "x")
    assert found.note is not None
    assert found.lines == ()


def test_a_truncated_archive_lists_what_it_has(tmp_path: Path) -> None:
    whole = tar(*((f"file-{n}", os.urandom(20_000)) for n in range(20)))
    found = preview(tmp_path, whole[: len(whole) // 2], "dist.tar.gz")
    assert "file-3" in plain(found)
    assert "file-19" not in plain(found)


async def test_a_bomb_ends_its_own_process_only(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.tar.gz"
    entry = tarfile.TarInfo("zeros")
    entry.size = 1 << 40
    # A gzip file may have many members: the same 50 MiB of zeros again and again.
    bomb.write_bytes(gzip.compress(entry.tobuf()) + gzip.compress(bytes(50 * MEBIBYTE), 1) * 400)
    worker = LimitedWorker(WorkLimits(cpu_seconds=1, wall_seconds=60, memory_bytes=256 * MEBIBYTE))
    with pytest.raises(WorkLimitError, match="processor time"):
        await worker.run(render_preview, str(bomb), "bomb.tar.gz", 80, 24, True)


def png(size: tuple[int, int], colour: tuple[int, int, int, int]) -> bytes:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        skip_unless_required("Pillow is not installed")
    made = io.BytesIO()
    Image.new("RGBA", size, colour).save(made, "PNG")
    return made.getvalue()


def test_an_image_is_drawn_with_two_pixels_in_a_cell(tmp_path: Path) -> None:
    found = preview(tmp_path, png((40, 20), (255, 0, 0, 255)), "x.png")
    assert found.kind == "PNG image, 40 x 20"
    assert len(found.lines) == 10
    assert plain(found).split("\n")[0] == "▀" * 40
    assert "38;2;255;0;0;48;2;255;0;0" in found.lines[0]


def test_a_large_image_fits_into_the_terminal(tmp_path: Path) -> None:
    found = preview(tmp_path, png((1000, 1000), (0, 0, 255, 255)), "x.png", width=60)
    assert len(found.lines) <= 24
    assert max(len(line) for line in plain(found).split("\n")) <= 60


def test_an_image_without_colours_is_drawn_in_greys(tmp_path: Path) -> None:
    found = preview(tmp_path, png((40, 20), (255, 255, 255, 255)), "x.png", colours=False)
    assert set(plain(found)) == {"@", "\n"}


def test_an_image_of_too_many_pixels_is_not_decoded(tmp_path: Path) -> None:
    header = bytearray(png((1, 1), (0, 0, 0, 255)))
    header[16:24] = (100_000).to_bytes(4, "big") * 2
    import zlib

    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4, "big")
    found = preview(tmp_path, bytes(header), "x.png")
    assert found.note == "It has more than 50,000,000 pixels."
