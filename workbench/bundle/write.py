"""Writes the bundle of a run: everything that the controller has of it, masked as it is stored.

The same run gives the same bytes once it has ended: entries are in a fixed order, with a fixed time, and nothing says
when or by whom the file was written. A run that has not ended is written as it is, with the time.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import zipfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from workbench.bundle import manifest as names
from workbench.bundle.manifest import LeftOut, LogChunk, Manifest, StoredFile, StoredLog
from workbench.bundle.timeline import status_changes, time_range
from workbench.client import decode
from workbench.client.errors import ClientError, NotFoundError
from workbench.client.models import Run, Step

T = TypeVar("T")

_MAX_ARTIFACTS = 20_000
"""Artifacts that are listed."""
_MAX_FILES = 5_000
"""Artifacts whose content is kept."""
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_FILE_MODE = 0o100644
_UNIX = 3
_LEVEL = 1
"""Logs get to a tenth of their size as well; higher levels take several times as long for a fifth less."""


class Source(Protocol):
    """The calls of the client that a bundle is made from."""

    async def cluster_document(self) -> Mapping[str, Any]: ...

    async def event_documents(self, run: str) -> list[Mapping[str, Any]]: ...

    async def command_documents(self, run: str, step: str, attempt: int) -> list[Mapping[str, Any]]: ...

    async def artifact_documents(self, run: str, limit: int) -> list[Mapping[str, Any]]: ...

    async def test_documents(self, run: str) -> dict[str, Any]: ...

    async def download_file(self, run: str, step: str, path: str, target: Path) -> int: ...

    def log_blocks(self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False) -> Any: ...


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ExportOptions:
    """`max_artifacts`: bytes of artifacts in all, the smallest first; None: none, and that is nothing to report."""

    max_artifacts: int | None = 0
    producer: str = "c8s"
    now: Callable[[], datetime] = _now


@dataclass(frozen=True)
class ExportProgress:
    """How far an export is: bytes of logs so far, of those that the status promises."""

    what: str
    done: int = 0
    total: int = 0


async def write_bundle(
    source: Source,
    run: Run,
    file: IO[bytes],
    options: ExportOptions,
    progress: Callable[[ExportProgress], None] = lambda _: None,
) -> Manifest:
    """Write a run to an empty file, of one that has not ended what there is; what was written.

    Args:
        file: is compressed to in a thread of its own, while the next part arrives.

    Raises:
        ClientError: the controller can't be reached, or refuses something other than that it has it no more.
        OSError: the file can't be written.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        return await _Export(source, run, archive, options, progress).write()


@dataclass
class _Export:
    source: Source
    run: Run
    archive: zipfile.ZipFile
    options: ExportOptions
    progress: Callable[[ExportProgress], None]
    left_out: list[LeftOut] = field(default_factory=list)
    left_out_count: int = 0
    chunks: int = 0
    log_bytes: int = 0

    async def write(self) -> Manifest:
        run = self.run
        as_of = self._as_of()
        self.progress(ExportProgress("status"))
        cluster = await self.source.cluster_document()
        document = {key: value for key, value in run.raw.items() if key != "resourceVersion"}
        await self._add_json(names.RUN, document)
        await self._add_json(names.TIMELINE, [change.to_json() for change in status_changes(run)])
        events = await self._kept("the events of the run", self.source.event_documents(run.name), [])
        await self._add_json(names.EVENTS, {"items": events})
        tests = await self._kept(
            "the results of tests", self.source.test_documents(run.name), {"steps": [], "items": []}
        )
        await self._add_json(names.TESTS, tests)
        await self._add_json(names.COMMANDS, {"items": await self._commands()})
        logs = [log async for log in self._logs()]
        files = await self._artifacts()
        found = Manifest(
            producer=self.options.producer,
            cluster={key: str(cluster.get(key) or "") for key in ("runtime", "images", "version")},
            logs=tuple(logs),
            files=tuple(files),
            left_out=tuple(self.left_out),
            left_out_count=self.left_out_count,
            as_of=as_of,
        )
        await self._add_json(names.MANIFEST, found.to_json())
        return found

    def _as_of(self) -> datetime | None:
        """The time of a run that has not ended: now, or its last change if the clock of its cluster is ahead."""
        if self.run.ended:
            return None
        known = time_range(self.run)
        now = self.options.now()
        return now if known is None else max(now, known[1])

    async def _kept(self, what: str, call: Awaitable[T], otherwise: T) -> T:
        """The answer of a call; what the controller has no more is left out."""
        try:
            return await call
        except NotFoundError:
            self._leave_out(what, "the controller does not have it any more")
            return otherwise

    def _leave_out(self, what: str, why: str) -> None:
        self.left_out_count += 1
        if len(self.left_out) < names.MAX_LEFT_OUT:
            self.left_out.append(LeftOut(what[:4096], why[:4096]))

    # -- logs

    async def _commands(self) -> list[dict[str, Any]]:
        found = []
        for step, attempt, container in _streams(self.run):
            if container == "step":
                what = f"the commands of {step.name}, attempt {attempt}"
                items = await self._kept(what, self.source.command_documents(self.run.name, step.slug, attempt), [])
                if items:
                    found.append({"step": step.slug, "attempt": attempt, "items": items})
        return found

    async def _logs(self) -> Any:
        total = sum(one.log.bytes for step in self.run.steps for one in step.attempts if one.log is not None)
        for step, attempt, container in _streams(self.run):
            self.progress(ExportProgress(f"log of {step.name}", self.log_bytes, total))
            what = f"the log of {step.name}, attempt {attempt}, container {container}"
            if (
                self.log_bytes >= names.MAX_LOG_BYTES - names.MAX_CHUNK
                or self.chunks >= names.MAX_ENTRIES - _MAX_FILES - 100
            ):
                self._leave_out(what, "the logs before it have reached the limit of a bundle")
                continue
            chunks: list[LogChunk] = []
            try:
                await self._log(step, attempt, container, chunks, total)
            except NotFoundError:
                self._leave_out(what, "it is no longer stored" if self.run.ended else "there is none yet")
                continue
            yield StoredLog(step.slug, attempt, container, tuple(chunks))

    async def _log(self, step: Step, attempt: int, container: str, chunks: list[LogChunk], total: int) -> None:
        """Write one log, while its next blocks are received: compressing leaves the interpreter free."""
        blocks = self.source.log_blocks(self.run.name, step.slug, attempt=attempt, container=container, timestamps=True)
        waiting: list[bytes] = []
        size = 0
        writing: asyncio.Task[None] | None = None
        try:
            async with aclosing(blocks) as received:
                async for block in received:
                    waiting.append(block)
                    size += len(block)
                    if size < names.CHUNK:
                        continue
                    if writing is not None:
                        await writing
                    writing = asyncio.create_task(self._add_chunk(b"".join(waiting), chunks))
                    self.progress(ExportProgress(f"log of {step.name}", self.log_bytes, total))
                    waiting, size = [], 0
        finally:
            if writing is not None:
                await asyncio.wait([writing])
        if writing is not None:
            await writing
        if waiting:
            await self._add_chunk(b"".join(waiting), chunks)

    async def _add_chunk(self, data: bytes, chunks: list[LogChunk]) -> None:
        for piece in _pieces(data):
            entry = f"logs/{self.chunks:06}"
            self.chunks += 1
            self.log_bytes += len(piece)
            chunks.append(LogChunk(entry, piece.count(b"\n"), len(piece)))
            await asyncio.to_thread(self._add, entry, piece)

    # -- artifacts

    async def _artifacts(self) -> list[StoredFile]:
        listing = self.source.artifact_documents(self.run.name, _MAX_ARTIFACTS)
        items = await self._kept("the list of artifacts", listing, [])
        await self._add_json(names.ARTIFACTS, {"items": items})
        count = sum(step.artifact_count for step in self.run.steps)
        if count > len(items) == _MAX_ARTIFACTS:
            self._leave_out(f"{count - len(items):,} more artifacts", f"a bundle lists {_MAX_ARTIFACTS:,}")
        stored: list[StoredFile] = []
        left = self.options.max_artifacts
        if left is None:
            return []
        found = sorted((decode.decode_artifact(item) for item in items), key=lambda one: (one.size, one.step, one.path))
        with tempfile.TemporaryDirectory(prefix="c8s-") as folder:
            target = Path(folder) / "artifact"
            for each in found:
                what = f"the artifact {each.path} of {each.step} ({each.size:,} bytes)"
                if each.size > left or len(stored) >= _MAX_FILES:
                    limit = self.options.max_artifacts
                    self._leave_out(
                        what, f"more than {limit:,} bytes of artifacts" if limit else "artifacts were not asked for"
                    )
                    continue
                self.progress(ExportProgress(f"artifact {each.path}"))
                try:
                    size = await self.source.download_file(self.run.name, each.step, each.path, target)
                except NotFoundError:
                    self._leave_out(what, "it is no longer stored")
                    continue
                except ClientError as error:
                    self._leave_out(what, str(error))
                    continue
                entry = f"files/{len(stored):06}"
                await asyncio.to_thread(self._add_file, entry, target)
                stored.append(StoredFile(each.step, each.path, entry, size))
                left -= size
        return stored

    # -- entries

    async def _add_json(self, name: str, document: object) -> None:
        data = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode(errors="replace")
        if len(data) > names.MAX_DOCUMENT:
            self._leave_out(name, f"it has {len(data):,} bytes, and a bundle takes {names.MAX_DOCUMENT:,}")
            data = b'{"items":[]}'
        await asyncio.to_thread(self._add, name, data)

    def _add(self, name: str, data: bytes) -> None:
        self.archive.writestr(_info(name), data, zipfile.ZIP_DEFLATED, _LEVEL)

    def _add_file(self, name: str, path: Path) -> None:
        info = _info(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        with path.open("rb") as source, self.archive.open(info, "w") as target:
            while block := source.read(names.CHUNK):
                target.write(block)


def _streams(run: Run) -> Iterator[tuple[Step, int, str]]:
    """The streams of lines of a run: step, attempt, container."""
    for step in run.steps:
        if step.reused is not None:
            yield step, step.reused.attempt, "step"
            continue
        for attempt in step.attempts:
            for container in attempt.containers:
                yield step, attempt.number, container


def _pieces(data: bytes) -> Iterator[bytes]:
    """Whole lines of at most `MAX_CHUNK` bytes; a longer line is cut, which no controller lets happen."""
    while len(data) > names.MAX_CHUNK:
        end = data.rfind(b"\n", 0, names.MAX_CHUNK) + 1
        if not end:
            end = data.find(b"\n") + 1
            yield data[: names.MAX_CHUNK - 1] + b"\n"
        else:
            yield data[:end]
        data = data[end:]
    if data:
        yield data


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _FIXED_TIME)
    info.create_system = _UNIX
    info.external_attr = _FILE_MODE << 16
    return info
