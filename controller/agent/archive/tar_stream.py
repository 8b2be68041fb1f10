"""Reads and writes tar as a stream: the part of the format that archives of sources and artifacts use.

The same reader checks and extracts, so that no archive can look different to a check and to an extracting program.
"""

from __future__ import annotations

from ..errors import AgentError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 512
MAX_BYTES = 16 * 1024**3
"""All files of an archive together, unpacked."""
MAX_ENTRIES = 500_000
FILE, HARD_LINK, SYMLINK, DIRECTORY = "0", "1", "2", "5"
_REJECTED_TYPES = {"3": "a character device", "4": "a block device", "6": "a named pipe", "S": "a sparse file"}
_MAX_EXTENSION_SIZE = 1024 * 1024
_MAX_LENGTH_DIGITS = 20
_USED_RECORDS, _SPARSE = (b"path", b"linkpath", b"size"), b"GNU.sparse"


class Member:
    """One entry: `name` and `target` as they are in the archive, `size` in bytes, `mtime` in seconds since 1970."""

    # Not a dataclass: importing dataclasses takes longer than extracting a small archive.
    __slots__ = ("mode", "mtime", "name", "size", "target", "type")

    def __init__(self, name: str, type: str, size: int, mode: int, mtime: int, target: str) -> None:
        self.name = name
        self.type = type
        self.size = size
        self.mode = mode
        self.mtime = mtime
        self.target = target


class TarReader:
    """Reads entries one after the other; `read(n)` returns up to n bytes of the stream, b"" at its end.

    When all are read, `at_end_marker` says whether they were followed by the block that ends an archive, and
    `is_incomplete` whether the stream ended after an extension whose entry is missing.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.at_end_marker = False
        self.is_incomplete = False
        self._read = read
        self._left = 0
        self._padding = 0

    def members(self) -> Iterator[Member]:
        """The entries; the content of one can be read until the next is requested."""
        extension: dict[str, str] = {}
        while (header := self._header()) is not None:
            kind = chr(header[156]) if header[156] else FILE
            size = _parse_number(header[124:136])
            self._left, self._padding = size, -size % BLOCK
            if kind in ("x", "L", "K"):
                extension.update(self._read_extension(kind, size))
                continue
            if kind == "g":
                self.skip()
                continue
            member = _parse_member(header, "0" if kind == "7" else kind, extension)
            extension = {}
            if member.type != FILE and size:
                raise AgentError(f"the archive's entry {printable(member.name)} has content but is not a file")
            # An extension gives sizes that do not fit the header.
            self._left, self._padding = member.size, -member.size % BLOCK
            yield member
            self.skip()
        self.is_incomplete = bool(extension)

    def content(self, limit: int = 256 * 1024) -> Iterator[bytes]:
        """The content of the current entry."""
        while self._left:
            chunk = self._read(min(limit, self._left))
            if not chunk:
                raise AgentError("the archive ends in the middle of a file")
            self._left -= len(chunk)
            yield chunk

    def _header(self) -> bytes | None:
        header = self._read_exactly(BLOCK)
        if not header or header == bytes(BLOCK):
            self.at_end_marker = bool(header)
            return None
        stored = _parse_number(header[148:156])
        if stored != sum(header[:148]) + 8 * 32 + sum(header[156:]):
            raise AgentError("the archive is damaged: the checksum of an entry is wrong")
        return header

    def skip(self) -> None:
        """Read to the end of the current entry."""
        for _ in self.content():
            pass
        self._read_exactly(self._padding)
        self._padding = 0

    def _read_extension(self, kind: str, size: int) -> dict[str, str]:
        """Read an extension entry: the fields it sets for the next entry."""
        if size > _MAX_EXTENSION_SIZE:
            raise AgentError("the archive has an entry whose name is too long")
        content = b"".join(self.content())
        self._read_exactly(self._padding)
        if kind != "x":
            name = "path" if kind == "L" else "linkpath"
            return {name: _decode(content.rstrip(b"\0"))}
        return _parse_pax(content)

    def _read_exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            chunk = self._read(size)
            if not chunk:
                if parts:
                    raise AgentError("the archive ends too early")
                return b""
            parts.append(chunk)
            size -= len(chunk)
        return b"".join(parts)


def _parse_member(header: bytes, kind: str, extension: dict[str, str]) -> Member:
    name = _decode(header[:100].partition(b"\0")[0])
    if header[257:263] == b"ustar\0":
        prefix = _decode(header[345:500].partition(b"\0")[0])
        name = f"{prefix}/{name}" if prefix else name
    name = extension.get("path", name)
    if kind in _REJECTED_TYPES or any(field.startswith("GNU.sparse") for field in extension):
        raise AgentError(
            f"the archive's entry {printable(name)} is {_REJECTED_TYPES.get(kind, 'a sparse file')}; it is refused"
        )
    if kind not in (FILE, HARD_LINK, SYMLINK, DIRECTORY):
        raise AgentError(f"the archive's entry {printable(name)} is of an unknown kind; it is refused")
    size = _parse_decimal(extension["size"], name) if "size" in extension else _parse_number(header[124:136])
    return Member(
        name,
        kind,
        size if kind == FILE else 0,
        _parse_number(header[100:108]) & 0o777,
        _parse_number(header[136:148]),
        extension.get("linkpath", _decode(header[157:257].partition(b"\0")[0])),
    )


def _parse_pax(content: bytes) -> dict[str, str]:
    """The records of an extension entry that matter here; others, of which there can be many, are skipped."""
    found = {}
    position = 0
    while position < len(content):
        length, _, _ = content[position : position + _MAX_LENGTH_DIGITS].partition(b" ")
        if not length.isdigit() or not len(length) < int(length) <= len(content) - position:
            raise AgentError("the archive is damaged: an extension header is malformed")
        record = content[position + len(length) + 1 : position + int(length) - 1]
        position += int(length)
        name, _, value = record.partition(b"=")
        if name in _USED_RECORDS or name.startswith(_SPARSE):
            found[_decode(name)] = _decode(value)
    return found


def _parse_number(field: bytes) -> int:
    """An octal field, or a binary one for large numbers."""
    if field[0] & 0x80:
        return max(0, int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big"))
    digits = field.strip(b" \0")
    try:
        return int(digits or b"0", 8)
    except ValueError:
        raise AgentError("the archive is damaged: a number is malformed") from None


def _parse_decimal(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise AgentError(f"the archive's entry {printable(name)} has an invalid size")
    return int(text)


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def encode_header(member: Member) -> bytes:
    """The header blocks of an entry, after an extension entry if its fields do not fit a plain header."""
    name = member.name.encode("utf-8", "surrogateescape")
    target = member.target.encode("utf-8", "surrogateescape")
    extension = b""
    for key, value, max_length in ((b"path", name, 100), (b"linkpath", target, 100)):
        if len(value) > max_length:
            extension += _pax_record(key, value)
    if member.size >= 8**11:
        extension += _pax_record(b"size", str(member.size).encode())
    if extension:
        first = _ustar_header(b"@extra", "x", len(extension), 0o644, 0, b"")
        extension = first + extension + bytes(-len(extension) % BLOCK)
    size = member.size if member.size < 8**11 else 0
    return extension + _ustar_header(name[:100], member.type, size, member.mode, member.mtime, target[:100])


def _pax_record(key: bytes, value: bytes) -> bytes:
    size = len(key) + len(value) + 3
    length = size + len(str(size))
    length = size + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _ustar_header(name: bytes, kind: str, size: int, mode: int, mtime: int, target: bytes) -> bytes:
    fields = (
        name.ljust(100, b"\0"),
        b"%07o\0" % mode,
        b"0000000\0",
        b"0000000\0",
        b"%011o\0" % size,
        b"%011o\0" % max(0, min(mtime, 8**11 - 1)),
        b"        ",
        kind.encode(),
        target.ljust(100, b"\0"),
        b"ustar\x0000",
    )
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
