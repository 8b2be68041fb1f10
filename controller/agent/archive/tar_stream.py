"""The tar format, read and written as a stream: no more of it than archives of sources and artifacts have.

One reader judges and unpacks, so that nothing can be one thing to the judge and another to an unpacking program.
"""

from __future__ import annotations

from ..errors import AgentError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 512
FILE, HARD_LINK, SYMLINK, DIRECTORY = "0", "1", "2", "5"
_REJECTED_TYPES = {"3": "a character device", "4": "a block device", "6": "a named pipe", "S": "a sparse file"}
_MAX_EXTENSION_SIZE = 1024 * 1024


class Member:
    """One entry: `name` and `target` as they are in the archive, `size` in bytes, `mtime` in seconds since 1970."""

    # Not a dataclass: importing what makes them takes longer than unpacking a small archive.
    __slots__ = ("mode", "mtime", "name", "size", "target", "type")

    def __init__(self, name: str, type: str, size: int, mode: int, mtime: int, target: str) -> None:
        self.name = name
        self.type = type
        self.size = size
        self.mode = mode
        self.mtime = mtime
        self.target = target


class TarReader:
    """Reads entries one after the other. `read(n)` gives up to n bytes of the unpacked stream, b"" at its end."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._left = 0
        self._padding = 0

    def members(self) -> Iterator[Member]:
        """The entries; the content of each can be read until the next is asked for."""
        notes: dict[str, str] = {}
        while (header := self._header()) is not None:
            kind = chr(header[156]) if header[156] else FILE
            size = _parse_number(header[124:136])
            self._left, self._padding = size, -size % BLOCK
            if kind in ("x", "L", "K"):
                notes.update(self._read_extension(kind, size))
                continue
            if kind == "g":
                self._skip()
                continue
            member = _parse_member(header, "0" if kind == "7" else kind, notes)
            notes = {}
            if member.type != FILE and size:
                raise AgentError(f"the archive's entry {printable(member.name)} has content but is no file")
            # A note may give a size that the header has no room for.
            self._left, self._padding = member.size, -member.size % BLOCK
            yield member
            self._skip()

    def content(self, limit: int = 256 * 1024) -> Iterator[bytes]:
        """The content of the entry at hand."""
        while self._left:
            piece = self._read(min(limit, self._left))
            if not piece:
                raise AgentError("the archive ends in the middle of a file")
            self._left -= len(piece)
            yield piece

    def _header(self) -> bytes | None:
        header = self._read_exactly(BLOCK)
        if not header or header == bytes(BLOCK):
            return None
        stored = _parse_number(header[148:156])
        if stored != sum(header[:148]) + 8 * 32 + sum(header[156:]):
            raise AgentError("the archive is damaged: the checksum of an entry is wrong")
        return header

    def _skip(self) -> None:
        for _ in self.content():
            pass
        self._read_exactly(self._padding)
        self._padding = 0

    def _read_extension(self, kind: str, size: int) -> dict[str, str]:
        """What an extra entry says about the next one."""
        if size > _MAX_EXTENSION_SIZE:
            raise AgentError("the archive has an entry with an endless name")
        content = b"".join(self.content())
        self._read_exactly(self._padding)
        if kind != "x":
            name = "path" if kind == "L" else "linkpath"
            return {name: _decode(content.rstrip(b"\0"))}
        return _parse_pax(content)

    def _read_exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0:
            piece = self._read(size)
            if not piece:
                if parts:
                    raise AgentError("the archive ends too early")
                return b""
            parts.append(piece)
            size -= len(piece)
        return b"".join(parts)


def _parse_member(header: bytes, kind: str, notes: dict[str, str]) -> Member:
    name = _decode(header[:100].partition(b"\0")[0])
    if header[257:263] == b"ustar\0":
        prefix = _decode(header[345:500].partition(b"\0")[0])
        name = f"{prefix}/{name}" if prefix else name
    name = notes.get("path", name)
    if kind in _REJECTED_TYPES or any(note.startswith("GNU.sparse") for note in notes):
        raise AgentError(
            f"the archive's entry {printable(name)} is {_REJECTED_TYPES.get(kind, 'a sparse file')}; it is refused"
        )
    if kind not in (FILE, HARD_LINK, SYMLINK, DIRECTORY):
        raise AgentError(f"the archive's entry {printable(name)} is of an unknown kind; it is refused")
    size = _parse_decimal(notes["size"], name) if "size" in notes else _parse_number(header[124:136])
    return Member(
        name,
        kind,
        size if kind == FILE else 0,
        _parse_number(header[100:108]) & 0o777,
        _parse_number(header[136:148]),
        notes.get("linkpath", _decode(header[157:257].partition(b"\0")[0])),
    )


def _parse_pax(content: bytes) -> dict[str, str]:
    found = {}
    while content:
        length, _, _ = content.partition(b" ")
        if not length.isdigit() or not len(length) < int(length) <= len(content):
            raise AgentError("the archive is damaged: an entry's extra header is not in order")
        record, content = content[len(length) + 1 : int(length) - 1], content[int(length) :]
        name, _, value = record.partition(b"=")
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
        raise AgentError("the archive is damaged: a number is not one") from None


def _parse_decimal(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise AgentError(f"the archive's entry {printable(name)} has no proper size")
    return int(text)


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def encode_header(member: Member) -> bytes:
    """The header blocks of an entry, with an extra entry in front where a plain header has no room."""
    name = member.name.encode("utf-8", "surrogateescape")
    target = member.target.encode("utf-8", "surrogateescape")
    notes = b""
    for key, value, room in ((b"path", name, 100), (b"linkpath", target, 100)):
        if len(value) > room:
            notes += _pax_record(key, value)
    if member.size >= 8**11:
        notes += _pax_record(b"size", str(member.size).encode())
    extra = b""
    if notes:
        extra = _ustar_header(b"@extra", "x", len(notes), 0o644, 0, b"") + notes + bytes(-len(notes) % BLOCK)
    size = member.size if member.size < 8**11 else 0
    return extra + _ustar_header(name[:100], member.type, size, member.mode, member.mtime, target[:100])


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
