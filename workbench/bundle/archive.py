"""Reads the zip file of a bundle with distrust: bounded, without writing anything, whatever the file says of itself.

Refused are: entries with names that a bundle does not have, two of one name, encrypted ones, other compressions than
deflate, more entries than a bundle can have, anything before or after the archive, and the extensions for large files.
"""

from __future__ import annotations

import json
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NoReturn, Self

from workbench.bundle.errors import BundleError
from workbench.bundle.manifest import ENTRY_NAME, MAX_DOCUMENT, MAX_ENTRIES, MAX_ITEMS, MAX_VALUES

_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_MAX_DIRECTORY = 4 * 1024 * 1024
_BLOCK = 256 * 1024
_ENCRYPTED = 0x1 | 0x40
_MAX_DEPTH = 200
_MAX_NUMBER = 1 << 53
"""What JSON can be relied on for (RFC 8259, section 6)."""
_MAX_DIGITS = 17
_BEFORE_VALUES = (b",", b"[", b"{")
"""What is before each value of a document but the first; in texts, it counts as well."""
_ESCAPED_SURROGATE = b"\\ud"
_TROUBLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    struct.error,
)
"""What `zipfile` raises for damaged files."""


class Archive:
    """An open file. Several threads may read from it at once."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises BundleError."""
        self.path = path
        self._lock = threading.Lock()
        try:
            self._file: IO[bytes] = path.open("rb")
        except OSError as error:
            raise BundleError(f"can't open {path}: {error.strerror or error}") from error
        try:
            _check_end(self._file)
            self._zip = zipfile.ZipFile(self._file)
            self._entries = _checked(self._zip.infolist())
        except BundleError as error:
            self._file.close()
            raise BundleError(f"can't open {path}: {error}") from None
        except _TROUBLE as error:
            self._file.close()
            raise BundleError(f"can't open {path}: it is no bundle of a run, or damaged ({error})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
        self._file.close()

    def has(self, name: str) -> bool:
        return name in self._entries

    def blocks(self, name: str, limit: int) -> Iterator[bytes]:
        """The content of an entry, checked against its sum at the end.

        Raises:
            BundleError: there is no such entry, it is damaged, or has more than `limit` bytes.
        """
        info = self._entries.get(name)
        if info is None:
            self._fail(f"{name} is missing")
        left = limit
        try:
            with self._zip.open(info) as source:
                # zipfile serialises the reads of several open entries itself.
                while block := source.read(min(_BLOCK, left + 1)):
                    left -= len(block)
                    if left < 0:
                        self._fail(f"{name} is larger than {limit:,} bytes")
                    yield block
        except _TROUBLE as error:
            self._fail(f"{name} is damaged ({error})")

    def read(self, name: str, limit: int) -> bytes:
        """The whole content of an entry. Raises BundleError."""
        return b"".join(self.blocks(name, limit))

    def document(self, name: str, limit: int = MAX_DOCUMENT) -> Any:
        """The JSON of an entry; numbers in it are finite and of a size that all code can take. Raises BundleError."""
        data = self.read(name, limit)
        if sum(data.count(each) for each in _BEFORE_VALUES) > MAX_VALUES:
            self._fail(f"{name} has more than {MAX_VALUES:,} values")
        try:
            found = json.loads(data, parse_constant=_refuse_constant, parse_int=_parse_int, parse_float=_parse_float)
            if _ESCAPED_SURROGATE in data.lower():
                # Half a character, which no terminal can be sent.
                text = json.dumps(found, ensure_ascii=False).encode(errors="replace")
                found = json.loads(text)
        except (ValueError, RecursionError) as error:
            self._fail(f"{name} is not JSON ({error})")
        if why := _unlike_a_run(found):
            self._fail(f"{name} {why}")
        return found

    def _fail(self, why: str) -> NoReturn:
        raise BundleError(f"can't read {self.path}: {why}")


def _check_end(file: IO[bytes]) -> None:
    """Check the record at the end before anything is read by it: the number of entries, and the size of their list."""
    size = file.seek(0, 2)
    if size < _END.size:
        raise BundleError("it is no bundle of a run: it is too short")
    file.seek(size - _END.size)
    signature, disk, first_disk, here, entries, length, start, comment = _END.unpack(file.read(_END.size))
    if signature != _END_SIGNATURE or comment or disk or first_disk or here != entries:
        raise BundleError("it is no bundle of a run, or was cut off")
    if not 0 < entries <= MAX_ENTRIES or length > _MAX_DIRECTORY:
        raise BundleError(f"it has {entries:,} entries, and a bundle has at most {MAX_ENTRIES:,}")
    if start + length + _END.size != size:
        raise BundleError("there is something before or behind the archive in it")
    file.seek(0)


def _checked(infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        # What is behind a NUL character is not part of `filename`.
        name = info.orig_filename
        if not ENTRY_NAME.fullmatch(name):
            raise BundleError("it has an entry that a bundle of a run does not have")
        if name in found:
            raise BundleError(f"it has two entries of the name {name}")
        if info.flag_bits & _ENCRYPTED or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(f"{name} is encrypted, or compressed in another way than bundles are")
        found[name] = info
    return found


def _parse_int(text: str) -> int:
    digits = text.lstrip("-")
    number = int(digits) if len(digits) <= _MAX_DIGITS else _MAX_NUMBER
    return min(number, _MAX_NUMBER) * (-1 if text.startswith("-") else 1)


def _parse_float(text: str) -> float:
    return min(max(float(text), -_MAX_NUMBER), _MAX_NUMBER)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _unlike_a_run(document: object) -> str | None:
    """What no document of a run has: lists of too many values, or nested so deep that what is recursive would fail."""
    level: list[object] = [document]
    for _ in range(_MAX_DEPTH):
        if any(len(each) > MAX_ITEMS for each in level if isinstance(each, (dict, list))):
            return f"has more than {MAX_ITEMS:,} values in one place"
        level = [
            inner
            for each in level
            if isinstance(each, (dict, list))
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return None
    return "is nested too deeply"
