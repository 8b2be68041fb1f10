"""Archives of sources, made entry by entry."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A file of an archive, or a link."""

    name: str
    data: bytes
    link: str = ""

    def packed(self) -> bytes:
        """The entry as it is in the tar stream."""
        info = tarfile.TarInfo(self.name)
        info.size = len(self.data)
        if self.link:
            info.type, info.linkname = tarfile.SYMTYPE, self.link
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as archive:
            archive.addfile(info, io.BytesIO(self.data))
            size = archive.offset
        return whole.getvalue()[:size]


def pack_entries(entries: Iterable[Entry]) -> bytes:
    """The tar.gz of the entries."""
    return gzip.compress(b"".join(each.packed() for each in entries) + bytes(1024))
