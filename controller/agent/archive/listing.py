"""Lists the files of an archive with a fingerprint of each: what a step that reads some of them is made from."""

from __future__ import annotations

import hashlib

from .tar_stream import DIRECTORY, SYMLINK, TarReader
from .unpack import check_member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def list_files(read: Callable[[int], bytes]) -> dict[str, str]:
    """Path -> fingerprint of each file and link of a tar stream; folders are left out.

    A fingerprint has whether the file is executable and the SHA-256 of its content, or the target of the link. Of two
    entries with one path the last counts, as when they are extracted.

    Args:
        read: `read(n)` returns up to n bytes of the stream, b"" at its end.

    Raises:
        AgentError: the extractor would refuse the archive.
    """
    found: dict[str, str] = {}
    reader = TarReader(read)
    for member in reader.members():
        path = "/".join(check_member(member))
        if member.type == DIRECTORY:
            continue
        if member.type == SYMLINK:
            found[path] = f"link {member.target}"
            continue
        digest = hashlib.sha256()
        for chunk in reader.content():
            digest.update(chunk)
        found[path] = f"{'executable' if member.mode & 0o100 else 'file'} {digest.hexdigest()}"
    return found
