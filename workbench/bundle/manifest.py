"""What a bundle consists of: the document `bundle.json`, as dataclasses. A bundle of others is checked field by field.

Names of entries are numbers that the writer counts, never names from a run: nothing in a bundle is a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from workbench.bundle.errors import BundleError
from workbench.bundle.run_document import plausible
from workbench.client.decode import decode_time

FORMAT = "c8s-run-bundle"
VERSION = 2
"""The latest version. What has nothing of it is written as an earlier one, which earlier c8s can open."""
UNFINISHED_VERSION = 2
"""The first version in which a run need not have ended."""
SUFFIX = ".c8srun"

MANIFEST = "bundle.json"
RUN = "run.json"
TIMELINE = "timeline.json"
EVENTS = "events.json"
TESTS = "tests.json"
COMMANDS = "commands.json"
ARTIFACTS = "artifacts.json"
ENTRY_NAME = re.compile(r"(?:bundle|run|timeline|events|tests|commands|artifacts)\.json|(?:logs|files)/[0-9]{6}")
"""All names that an entry can have."""

MAX_ENTRIES = 20_000
MAX_DOCUMENT = 32 * 1024 * 1024
"""Bytes of a JSON document in a bundle."""
CHUNK = 4 * 1024 * 1024
"""Bytes of log in an entry: the end of a log is read without the rest of it."""
MAX_CHUNK = 16 * 1024 * 1024
"""Bytes of log that are read from one entry. A single line can make one longer than `CHUNK`."""
MAX_LOG_BYTES = 2 * 1024 * 1024 * 1024 + MAX_CHUNK
"""Bytes of all logs, before compression; a run has 1 GiB unless its controller is configured otherwise."""
MAX_CHUNK_LINES = 1_000_000
"""Lines in one entry; with their times, `CHUNK` has less than 200,000."""
MAX_LOG_LINES = 20_000_000
"""Lines of one log that are read: the workbench keeps 16 bytes of memory for each."""
MAX_VALUES = 4_000_000
"""Values in a JSON document, which takes about 100 bytes of memory for each."""
MAX_ITEMS = 250_000
"""Values in a list or an object of a JSON document."""
MAX_FILE = 1 << 30
"""Bytes of an artifact."""
MAX_STREAMS = 20_000
MAX_LEFT_OUT = 200
"""Items that the report names one by one."""


@dataclass(frozen=True)
class LogChunk:
    """Consecutive lines of a log, each after its time and a space, in one entry."""

    entry: str
    lines: int
    bytes: int


@dataclass(frozen=True)
class StoredLog:
    """The log of a container of an attempt of a step (its slug)."""

    step: str
    attempt: int
    container: str
    chunks: tuple[LogChunk, ...]

    @property
    def lines(self) -> int:
        return sum(chunk.lines for chunk in self.chunks)


@dataclass(frozen=True)
class StoredFile:
    """An artifact whose content is in the bundle."""

    step: str
    path: str
    entry: str
    size: int


@dataclass(frozen=True)
class LeftOut:
    """Something that is not in the bundle, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Manifest:
    """The content of `bundle.json`. `cluster` has runtime, images and version of the controller.

    Attributes:
        as_of: the time at which the run was as it is here, if it had not ended.
    """

    producer: str
    cluster: Mapping[str, str]
    logs: tuple[StoredLog, ...] = ()
    files: tuple[StoredFile, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    left_out_count: int = 0
    """How many items are not in the bundle, of which `left_out` has the first ones."""
    as_of: datetime | None = None

    @property
    def version(self) -> int:
        """The version of the format that it needs."""
        return 1 if self.as_of is None else UNFINISHED_VERSION

    def to_json(self) -> dict[str, Any]:
        """The document."""
        unfinished = {"unfinishedAt": format_moment(self.as_of)} if self.as_of is not None else {}
        return {
            "format": FORMAT,
            "version": self.version,
            **unfinished,
            "producer": self.producer,
            "cluster": dict(self.cluster),
            "logs": [
                {
                    "step": log.step,
                    "attempt": log.attempt,
                    "container": log.container,
                    "chunks": [{"entry": one.entry, "lines": one.lines, "bytes": one.bytes} for one in log.chunks],
                }
                for log in self.logs
            ],
            "files": [
                {"step": file.step, "path": file.path, "entry": file.entry, "size": file.size} for file in self.files
            ],
            "leftOut": [{"what": each.what, "why": each.why} for each in self.left_out],
            "leftOutCount": self.left_out_count,
        }


def parse_manifest(raw: object) -> Manifest:
    """Read a `bundle.json` of this version or an earlier one.

    Raises:
        BundleError: it is none, is of a later version, or a field is not acceptable.
    """
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise BundleError(f"its {MANIFEST} is not that of a run")
    version = _number(raw, "version", 1, 1 << 31)
    if version > VERSION:
        raise BundleError(f"it has version {version} of the format, and this c8s reads up to {VERSION}: update c8s")
    cluster = raw.get("cluster")
    logs = tuple(_log(each) for each in _objects(raw, "logs", MAX_STREAMS))
    files = tuple(_file(each) for each in _objects(raw, "files", MAX_ENTRIES))
    _check_entries(logs, files)
    return Manifest(
        producer=_text(raw, "producer", 200),
        cluster={str(key)[:40]: str(value)[:200] for key, value in cluster.items()}
        if isinstance(cluster, dict)
        else {},
        logs=logs,
        files=files,
        left_out=tuple(
            LeftOut(_text(each, "what", 4096), _text(each, "why", 4096))
            for each in _objects(raw, "leftOut", MAX_LEFT_OUT)
        ),
        left_out_count=_number(raw, "leftOutCount", 0, 1 << 40),
        as_of=_moment(raw) if version >= UNFINISHED_VERSION else None,
    )


def format_moment(moment: datetime) -> str:
    """A time in RFC 3339."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _moment(raw: Mapping[str, Any]) -> datetime | None:
    if "unfinishedAt" not in raw:
        return None
    found = plausible(decode_time(_text(raw, "unfinishedAt", 40)))
    if found is None:
        raise BundleError(f"`unfinishedAt` in its {MANIFEST} is not a time")
    return found


def _check_entries(logs: Iterable[StoredLog], files: Iterable[StoredFile]) -> None:
    """Each entry belongs to one log or artifact, and all logs have a bound: a small file can't become a huge one."""
    chunks = [chunk for log in logs for chunk in log.chunks]
    entries = [chunk.entry for chunk in chunks] + [file.entry for file in files]
    if len(set(entries)) != len(entries):
        raise BundleError(f"its {MANIFEST} names an entry twice")
    if sum(chunk.bytes for chunk in chunks) > MAX_LOG_BYTES:
        raise BundleError(f"its logs have more than {MAX_LOG_BYTES:,} bytes")


def _log(raw: Mapping[str, Any]) -> StoredLog:
    chunks = tuple(
        LogChunk(
            _entry(each, "logs/"), _number(each, "lines", 0, MAX_CHUNK_LINES), _number(each, "bytes", 0, MAX_CHUNK)
        )
        for each in _objects(raw, "chunks", MAX_ENTRIES)
    )
    return StoredLog(
        _text(raw, "step", 300), _number(raw, "attempt", 0, 1_000_000), _text(raw, "container", 300), chunks
    )


def _file(raw: Mapping[str, Any]) -> StoredFile:
    size = _number(raw, "size", 0, MAX_FILE)
    return StoredFile(_text(raw, "step", 300), _text(raw, "path", 8192), _entry(raw, "files/"), size)


def _entry(raw: Mapping[str, Any], folder: str) -> str:
    name = _text(raw, "entry", 40)
    if not name.startswith(folder) or not ENTRY_NAME.fullmatch(name):
        raise BundleError(f"its {MANIFEST} names an entry that can't be one")
    return name


def _objects(raw: Mapping[str, Any], key: str, limit: int) -> Iterable[Mapping[str, Any]]:
    found = raw.get(key, [])
    if not isinstance(found, list) or len(found) > limit or not all(isinstance(each, dict) for each in found):
        raise BundleError(f"`{key}` of its {MANIFEST} is not a list of at most {limit:,} objects")
    return found


def _text(raw: Mapping[str, Any], key: str, limit: int) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or len(value) > limit:
        raise BundleError(f"`{key}` in its {MANIFEST} is not a text of at most {limit:,} characters")
    return value


def _number(raw: Mapping[str, Any], key: str, least: int, most: int) -> int:
    value = raw.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BundleError(f"`{key}` in its {MANIFEST} is not a number from {least} to {most}")
    return value
