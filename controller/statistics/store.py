"""The records of a pipeline in the object store.

Each ended run has an object of its own, which is written once and never changed. A history, one object for each
pipeline, has the last fifty of them, so that a reader needs two requests. It can be made from the records at any time:
two processes that write it at once lose nothing, because a record is deleted only when it is in the history and has
been for longer than a request may take. What a history lacks, a reader finds among the records.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from controller.statistics.records import KEPT_RUNS, Json, merge
from controller.storage.errors import ObjectNotFoundError, ObjectTooLargeError

if TYPE_CHECKING:
    from controller.storage.base import ObjectInfo

SETTLED_AFTER = timedelta(minutes=10)
"""No write that began before takes effect any more."""
_MAX_HISTORY_BYTES = 8 * 1024 * 1024
_MAX_PLAIN_BYTES = 32 * 1024 * 1024
_READS_AT_ONCE = 16


class RecordStore(Protocol):
    """What is used of the object store."""

    async def put(self, key: str, data: bytes | AsyncIterator[bytes], *, if_absent: bool = False) -> Any: ...
    async def get(self, key: str, *, limit: int | None = None) -> bytes: ...
    def list(self, prefix: str = "") -> AsyncIterator[ObjectInfo]: ...
    async def delete(self, key: str) -> None: ...


@dataclass(frozen=True)
class PipelineKey:
    """A pipeline of a namespace. The uid tells the namespace from another one of the same name."""

    namespace: str
    namespace_uid: str
    pipeline: str

    @property
    def prefix(self) -> str:
        return f"stats/{self.namespace}/{self.namespace_uid}/{self.pipeline}/"

    @property
    def history(self) -> str:
        return f"{self.prefix}history.json.gz"

    def record(self, record: Json) -> str:
        """The key of a record: those of one pipeline sort by the end of the run."""
        ended = "".join(char for char in record["ended"] if char.isdigit())[:20]
        return f"{self.prefix}runs/{ended}.{record['uid']}.json"


@dataclass
class StoredRuns:
    """What is stored of a pipeline: its history, and the records beside it by the uid of their run."""

    history: list[Json] = field(default_factory=list)
    records: dict[str, ObjectInfo] = field(default_factory=dict)

    @property
    def uids(self) -> set[str]:
        return {record["uid"] for record in self.history} | self.records.keys()


async def load(store: RecordStore, key: PipelineKey) -> StoredRuns:
    """The history and the list of records; a damaged history counts as none."""
    found = StoredRuns()
    has_history = False
    async for info in store.list(key.prefix):
        if info.key == key.history:
            has_history = True
        elif info.key.startswith(f"{key.prefix}runs/") and len(parts := info.key.rpartition("/")[2].split(".")) == 3:
            found.records[parts[1]] = info
    if has_history:
        try:
            found.history = _decode_history(await store.get(key.history, limit=_MAX_HISTORY_BYTES))
        except (ObjectNotFoundError, ObjectTooLargeError, ValueError):
            found.history = []
    return found


async def read_runs(store: RecordStore, key: PipelineKey) -> list[Json]:
    """The records of the last runs, oldest first: of the history, and what it lacks."""
    found = await load(store, key)
    return merge(found.history, await _read_missing(store, found))


async def add_records(store: RecordStore, key: PipelineKey, records: Sequence[Json], now: datetime) -> None:
    """Store the records of ended runs; those that are stored already have no effect. It may be repeated at any time.

    Raises StorageError: what was not stored is to be added again.
    """
    before = await load(store, key)
    known = before.uids
    for record in records:
        if record["uid"] not in known and not _is_too_old(record, before.history):
            await store.put(key.record(record), json.dumps(record, separators=(",", ":")).encode())
    found = await load(store, key)
    merged = merge(found.history, await _read_missing(store, found))
    if merged != found.history:
        data = json.dumps({"version": 1, "runs": merged}, separators=(",", ":")).encode()
        await store.put(key.history, gzip.compress(data, 3, mtime=0))
    # Those that were in the history that was read, not those that were just added: that write may be overwritten.
    settled = {record["uid"] for record in found.history}
    oldest = found.history[0]["ended"] if len(found.history) == KEPT_RUNS else ""
    for uid, info in found.records.items():
        if now - info.modified > SETTLED_AFTER and (uid in settled or _ended_of(info) < _digits(oldest)):
            await store.delete(info.key)


def _is_too_old(record: Json, history: Sequence[Json]) -> bool:
    """Whether the history is full of later runs."""
    return len(history) == KEPT_RUNS and bool(record["ended"] < history[0]["ended"])


def _digits(time: str) -> str:
    return "".join(char for char in time if char.isdigit())[:20]


def _ended_of(info: ObjectInfo) -> str:
    return info.key.rpartition("/")[2].partition(".")[0]


async def _read_missing(store: RecordStore, found: StoredRuns) -> list[Json]:
    """The records that the history lacks, the newest."""
    in_history = {record["uid"] for record in found.history}
    wanted = sorted((info.key for uid, info in found.records.items() if uid not in in_history))[-KEPT_RUNS:]
    slots = asyncio.Semaphore(_READS_AT_ONCE)

    async def read(key: str) -> Json | None:
        async with slots:
            try:
                record = json.loads(await store.get(key, limit=_MAX_HISTORY_BYTES))
            except (ObjectNotFoundError, ObjectTooLargeError, ValueError):
                return None
        return record if isinstance(record, dict) and {"uid", "ended", "steps"} <= record.keys() else None

    read_all = await asyncio.gather(*(read(key) for key in wanted))
    return [record for record in read_all if record is not None]


def _decode_history(data: bytes) -> list[Json]:
    engine = zlib.decompressobj(31)
    try:
        found = json.loads(engine.decompress(data, _MAX_PLAIN_BYTES))
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not isinstance(found, dict) or not isinstance(found.get("runs"), list):
        raise ValueError("not a history")  # noqa: TRY004 - a value that was read
    return [each for each in found["runs"] if isinstance(each, dict) and {"uid", "ended", "steps"} <= each.keys()]
