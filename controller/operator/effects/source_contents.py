"""Checks what a run says about the contents of its uploaded source, which decides what may be reused.

The creator of a run chooses `source.archive.contents`. So it counts for a reuse only if it is the digest of what
the archive really has. It is computed when a run with another archive is to be reused, and for no other run.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from controller.agent.archive.contents import contents_digest
from controller.agent.archive.unpack import GzipReader
from controller.agent.errors import AgentError
from controller.kube import NAMESPACES, KubeClient
from controller.storage.base import ObjectStore
from controller.storage.errors import StorageError
from controller.storage.pulled_file import PulledFile
from controller.storage.sources import SourceId, find_source

if TYPE_CHECKING:
    from controller.run_types.objects import ArchiveSource

MAX_SOURCE_BYTES = 4 * 1024**3
"""Of an unpacked source whose contents are computed."""
MAX_SECONDS = 30.0
"""How long that may take."""
_MAX_KNOWN = 256


class SourceContents:
    """Verifies the contents of sources; remembers those of the last few."""

    def __init__(self, client: KubeClient, store: ObjectStore, now: Callable[[], datetime]) -> None:
        self._client = client
        self._store = store
        self._now = now
        self._known: dict[tuple[SourceId, str | None], str] = {}

    async def find_mismatch(self, namespace: str, archive: ArchiveSource) -> str:
        """Why the contents that are said of an archive do not count, as a clause; empty if they are right.

        Raises KubeError.
        """
        metadata = (await self._client.get(NAMESPACES, namespace))["metadata"]
        source = SourceId(namespace, str(metadata["uid"]), archive["digest"].removeprefix("sha256:"))
        try:
            found = await self._contents(source, archive.get("pipelineFile"))
        except (AgentError, StorageError, TimeoutError, zlib.error) as error:
            return f"the contents of its source can't be checked: {error}"
        if found is None:
            return "its source is no longer stored, so that its contents can't be checked"
        return "" if archive.get("contents") == f"sha256:{found}" else "the contents of its source are not what it says"

    async def _contents(self, source: SourceId, left_out: str | None) -> str | None:
        """The digest of the contents (hex); None if the source is not stored."""
        key = (source, left_out)
        if key not in self._known:
            stored = await find_source(self._store, source, self._now())
            if stored is None:
                return None
            self._known[key] = await self._compute(stored.key, left_out)
            while len(self._known) > _MAX_KNOWN:
                del self._known[next(iter(self._known))]
        return self._known[key]

    async def _compute(self, key: str, left_out: str | None) -> str:
        file = PulledFile(self._store.read(key), asyncio.get_running_loop())
        try:
            return await asyncio.to_thread(_digest_of_file, file, left_out)
        finally:
            await file.aclose()


def _digest_of_file(file: PulledFile, left_out: str | None) -> str:
    content, deadline = GzipReader(file, MAX_SOURCE_BYTES), time.monotonic() + MAX_SECONDS

    def read(size: int) -> bytes:
        if time.monotonic() > deadline:
            raise TimeoutError(f"it takes longer than {MAX_SECONDS:g} s")
        return content.read(size)

    return contents_digest(read, left_out)
