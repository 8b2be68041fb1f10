"""Reads unfinished logs from the chunks in the store while no leader can be reached. Late, but true."""

from collections.abc import Mapping

from controller.logs.archive.chunk import read_header
from controller.logs.archive.reader import ArchivedLog
from controller.logs.archive.summary import Summary
from controller.logs.live.hub import ChunkRef
from controller.logs.model import Stream, parse_key, run_prefix
from controller.storage import ObjectNotFoundError, ObjectStore


async def read_stored_chunks(
    store: ObjectStore, namespace: str, run_uid: str, known: Mapping[str, ChunkRef]
) -> tuple[dict[Stream, list[ChunkRef]], set[Stream]]:
    """The chunks of the run's unfinished streams in order, and the complete streams. Chunks in `known` are not read."""
    keys: dict[Stream, list[str]] = {}
    whole: set[Stream] = set()
    async for each in store.list(run_prefix(namespace, run_uid)):
        parsed = parse_key(each.key)
        if parsed is None:
            continue
        if parsed[1] == ".json":
            whole.add(parsed[0])
        elif parsed[1].startswith(".d/"):
            keys.setdefault(parsed[0], []).append(each.key)
    parts: dict[Stream, list[ChunkRef]] = {}
    for stream in sorted(set(keys) - whole):
        try:
            parts[stream] = [known.get(key) or await read_header(store, key) for key in sorted(keys[stream])]
        except ObjectNotFoundError:
            # It has been archived between the two reads: the next call finds it complete.
            continue
    return parts, whole


async def archived_summary(store: ObjectStore, stream: Stream) -> Summary | None:
    """The summary of a completely archived stream; None for others."""
    found = await ArchivedLog.find(store, stream)
    return None if found is None else found.summary
