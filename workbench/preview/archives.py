"""Archives as lists of their files; nothing is unpacked."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO

from workbench.text.sanitize import sanitize_label

_FORMATS = ((b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"\x1f\x8b", "gz"), (b"BZh", "bz2"),
            (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "zst"))  # fmt: skip
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_MAX_NAME = 1_000
_MAX_CONTENT = 1024 * 1024
"""Bytes that are shown of a single compressed file."""


def archive_format(start: bytes) -> str | None:
    """The format of an archive or compressed file by its first bytes."""
    if start[_TAR_MAGIC_AT : _TAR_MAGIC_AT + len(_TAR_MAGIC)] == _TAR_MAGIC:
        return "tar"
    return next((name for magic, name in _FORMATS if start.startswith(magic)), None)


def list_archive(path: Path, form: str, max_lines: int) -> tuple[str, list[str], str | None]:
    """What the file is, a line for each file in it, and what is not shown.

    Raises:
        OSError: the file can't be read.
    """
    if form == "zst":
        return "zstd file", [], "zstd archives can't be listed here."
    try:
        if form == "zip":
            with zipfile.ZipFile(path) as archive:
                rows = (_zip_row(entry) for entry in archive.infolist())
                return _listed("zip archive", rows, max_lines)
        with tarfile.open(path, mode="r|*") as tar:
            kind = "tar archive" if form == "tar" else f"tar.{form} archive"
            return _listed(kind, (_tar_row(member) for member in tar), max_lines)
    except tarfile.ReadError:
        return _single_file(path, form)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
        return f"damaged {form} archive", [], f"It can't be listed: {sanitize_label(str(error), 200)}"


def _listed(kind: str, rows: Iterator[str], max_lines: int) -> tuple[str, list[str], str | None]:
    lines: list[str] = []
    note = None
    try:
        lines.extend(islice(rows, max_lines))
        if next(rows, None) is not None:
            note = f"Only the first {max_lines:,} entries are listed."
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, ValueError) as error:
        if not lines:
            raise
        note = f"It is damaged after these entries: {sanitize_label(str(error), 200)}"
    return f"{kind}, {len(lines):,} {'entry' if len(lines) == 1 else 'entries'}", lines, note


def _tar_row(member: tarfile.TarInfo) -> str:
    types = {
        member.isdir(): stat.S_IFDIR, member.issym(): stat.S_IFLNK, member.isfifo(): stat.S_IFIFO,
        member.isblk(): stat.S_IFBLK, member.ischr(): stat.S_IFCHR,
    }  # fmt: skip
    mode = stat.filemode((member.mode & 0o7777) | types.get(True, stat.S_IFREG))
    target = f" → {member.linkname}" if member.issym() or member.islnk() else ""
    return _row(mode, member.size, _moment(member.mtime), f"{member.name}{target}")


def _zip_row(entry: zipfile.ZipInfo) -> str:
    # The upper half of the attributes is the mode, where a Unix system has written them.
    mode = stat.filemode(entry.external_attr >> 16) if entry.external_attr >> 16 else "-" * 10
    year, month, day, hour, minute, _ = entry.date_time
    when = f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}"
    return _row(mode, entry.file_size, when, entry.filename)


def _row(mode: str, size: int, when: str, name: str) -> str:
    return f"{mode} {size:>14,}  {when:<16}  {sanitize_label(name, _MAX_NAME)}"


def _moment(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
    except (OverflowError, ValueError, OSError):
        return ""


def _single_file(path: Path, form: str) -> tuple[str, list[str], str | None]:
    """The text of a compressed file that is no archive."""
    openers = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    if form not in openers:
        return f"damaged {form} archive", [], "It can't be listed."
    try:
        opened: IO[bytes]
        with openers[form](path, "rb") as opened:  # type: ignore[operator]
            content = opened.read(_MAX_CONTENT + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        return f"damaged {form} file", [], f"It can't be read: {sanitize_label(str(error), 200)}"
    if b"\0" in content[:8_192]:
        return f"{form} file", [], "Its content is binary."
    note = "Only the beginning of its content is shown." if len(content) > _MAX_CONTENT else None
    return f"{form} file", content[:_MAX_CONTENT].decode(errors="replace").removesuffix("\n").split("\n"), note
