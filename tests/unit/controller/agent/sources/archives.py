"""Archives as clients pack them, of several gzip members, and what is in an unpacked tree."""

import gzip
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from controller.agent.archive.tar_stream import BLOCK, DIRECTORY, FILE, SYMLINK, Member, encode_header

Entry = tuple[str, str, int, bytes]
"""Path, type, mode, and content or target."""


def file(path: str, content: bytes = b"x", mode: int = 0o644) -> Entry:
    return path, FILE, mode, content


def link(path: str, target: str) -> Entry:
    return path, SYMLINK, 0o777, target.encode()


def folder(path: str, mode: int = 0o755) -> Entry:
    return path, DIRECTORY, mode, b""


def encoded(entry: Entry) -> bytes:
    path, kind, mode, content = entry
    size = len(content) if kind == FILE else 0
    header = encode_header(Member(path, kind, size, mode, 946_684_800, content.decode() if kind == SYMLINK else ""))
    return header + (content + bytes(-size % BLOCK) if kind == FILE else b"")


def members(parts: Iterable[bytes]) -> bytes:
    """A gzip file with a member for each part."""
    return b"".join(gzip.compress(part, 1, mtime=0) for part in parts)


def archive(entries: Sequence[Entry], group: int = 2) -> bytes:
    """An archive with a member for each few entries, and one for its end."""
    groups = [entries[at : at + group] for at in range(0, len(entries), group)]
    return members([*(b"".join(map(encoded, each)) for each in groups), bytes(2 * BLOCK)])


def snapshot(tree: Path) -> dict[str, tuple[object, ...]]:
    """Everything about the files, folders and links below a folder that a step may see, by path."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(tree.rglob("*")):
        status = path.lstat()
        name = os.fsencode(path.relative_to(tree)).decode("utf-8", "surrogateescape")
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_dir():
            found[name] = ("folder", stat.S_IMODE(status.st_mode))
        else:
            found[name] = ("file", stat.S_IMODE(status.st_mode), status.st_mtime, path.read_bytes())
    return found
