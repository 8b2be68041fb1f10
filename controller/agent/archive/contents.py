"""The digest of a source's contents: of all that is in its archive, but for the pipeline's own file.

It decides what may be reused, so that editing the pipeline alone does not make everything run again. It is computed of
the bytes of the archive, as the extractor reads them.
"""

from __future__ import annotations

import hashlib

from .tar_stream import FILE, TarReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def contents_digest(read: Callable[[int], bytes], left_out: str | None) -> str:
    """SHA-256 (hex) of the entries of a tar stream, headers included, without the first file of the name `left_out`.

    `read(n)` returns up to n bytes of the stream, b"" at its end. Raises AgentError for an archive that the extractor
    refuses to read.
    """
    entries = hashlib.sha256()
    # Of the entries up to the last one that counts. What follows them is no entry.
    counted = entries.copy()

    def read_hashed(size: int) -> bytes:
        data = read(size)
        entries.update(data)
        return data

    reader = TarReader(read_hashed)
    for member in reader.members():
        reader.skip()
        if member.name == left_out and member.type == FILE:
            entries, left_out = counted.copy(), None
        else:
            counted = entries.copy()
    return counted.hexdigest()
