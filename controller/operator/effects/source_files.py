"""The files of sources, as fingerprints by path: what steps with `inputs` are made from.

They are read from the stored archive, whose digest was verified when it was received, and not taken from who created
the run. The files of the last few sources are remembered.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from controller.agent.archive.listing import list_files
from controller.agent.archive.unpack import GzipReader
from controller.agent.errors import AgentError
from controller.kube import NAMESPACES, KubeClient
from controller.operator.effects.source_contents import MAX_SECONDS, MAX_SOURCE_BYTES
from controller.pipeline.values.inputs import select_inputs
from controller.storage.base import ObjectStore
from controller.storage.errors import StorageError
from controller.storage.pulled_file import PulledFile
from controller.storage.sources import SourceId, find_source

_MAX_REMEMBERED = 200_000
"""Files of all sources that are remembered."""
MAX_MATCH_SECONDS = 5.0
"""How long it may take to match the `inputs` of all steps of a run with the files of its source."""

Files = Mapping[str, str]


class UnknownFilesError(Exception):
    """The files of a source can't be listed; the message says why, as a clause."""


class ListedSources:
    """The files of the sources that were listed last. A digest stands for the same files everywhere.

    API and operator of one process share it: files of a source that was just uploaded are known when its run begins.
    """

    def __init__(self, max_files: int = _MAX_REMEMBERED) -> None:
        self._max_files = max_files
        self._known: dict[str, Files] = {}

    def get(self, sha256: str) -> Files | None:
        """The files of a source by its digest (hex)."""
        found = self._known.pop(sha256, None)
        if found is not None:
            self._known[sha256] = found
        return found

    def put(self, sha256: str, files: Files) -> None:
        """Remember files, and forget those that were asked for longest ago."""
        self._known[sha256] = files
        while len(self._known) > 1 and sum(map(len, self._known.values())) > self._max_files:
            del self._known[next(iter(self._known))]


LISTED = ListedSources()
"""Of this process."""


class SourceFiles:
    """Lists the files of sources.

    Args:
        now: the wall clock.
    """

    def __init__(
        self,
        client: KubeClient,
        store: ObjectStore,
        now: Callable[[], datetime],
        listed: ListedSources = LISTED,
    ) -> None:
        self._client = client
        self._store = store
        self._now = now
        self._listed = listed

    async def load(self, namespace: str, digest: str) -> Files:
        """The fingerprint of each file of a source, by path.

        Args:
            digest: `sha256:` and the digest of the archive.

        Raises:
            UnknownFilesError: the source is not stored, damaged, or takes too long to read.
            KubeError: try again.
        """
        metadata = (await self._client.get(NAMESPACES, namespace))["metadata"]
        source = SourceId(namespace, str(metadata["uid"]), digest.removeprefix("sha256:"))
        found = self._listed.get(source.sha256)
        if found is None or await find_source(self._store, source, self._now()) is None:
            found = await self._read(source)
        self._listed.put(source.sha256, found)
        return found

    async def _read(self, source: SourceId) -> Files:
        try:
            stored = await find_source(self._store, source, self._now())
            if stored is None:
                raise UnknownFilesError("the source is no longer stored")
            file = PulledFile(self._store.read(stored.key), asyncio.get_running_loop())
            try:
                return await asyncio.to_thread(_list, file)
            finally:
                await file.aclose()
        except (AgentError, StorageError, TimeoutError, zlib.error) as error:
            raise UnknownFilesError(f"the source can't be read: {error}") from error


def _list(file: PulledFile) -> Files:
    content, check = GzipReader(file, MAX_SOURCE_BYTES), deadline(MAX_SECONDS)

    def read(size: int) -> bytes:
        check()
        return content.read(size)

    return list_files(read)


def deadline(seconds: float) -> Callable[[], None]:
    """A function that raises TimeoutError when this time is over."""
    end = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > end:
            raise TimeoutError(f"it takes longer than {seconds:g} s")

    return check


def digest_inputs(files: Files, globs: Mapping[str, Sequence[str]], pipeline_file: str | None) -> dict[str, str]:
    """Step name -> SHA-256 over the paths and fingerprints of its inputs. It blocks: call it in a thread.

    The pipeline's own file counts for a step that names it literally, and for no other.

    Args:
        globs: the `inputs` of steps that have them, with variables filled in, by the step's name.
        pipeline_file: the path of the pipeline's own file, if it is known.

    Raises:
        UnknownFilesError: matching takes too long.
    """
    paths, check, known = sorted(files), deadline(MAX_MATCH_SECONDS), dict[tuple[str, ...], str]()
    for wanted in {tuple(each) for each in globs.values()}:
        try:
            selected = input_files(wanted, paths, pipeline_file, check)
        except TimeoutError as error:
            raise UnknownFilesError(f"finding the inputs of its steps takes too long: {error}") from error
        text = "".join(f"{path}\0{files[path]}\n" for path in selected)
        known[wanted] = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return {name: known[tuple(wanted)] for name, wanted in globs.items()}


def input_files(
    globs: Sequence[str], paths: Sequence[str], pipeline_file: str | None, check: Callable[[], None] = lambda: None
) -> list[str]:
    """The inputs among sorted paths, sorted."""
    selected = select_inputs(globs, paths, check)
    if pipeline_file is not None and pipeline_file not in globs:
        selected.discard(pipeline_file)
    return sorted(selected)
