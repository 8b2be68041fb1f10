"""A bundle as the workbench sees a controller: reads answer from the file, all else says that it can't be done."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, Self

from controller.files import atomic_file
from workbench.bundle import manifest as names
from workbench.bundle.archive import Archive
from workbench.bundle.errors import BundleError, NoControllerError
from workbench.bundle.manifest import LogChunk, Manifest, StoredLog, parse_manifest
from workbench.bundle.run_document import parse_run, plausible
from workbench.client import decode
from workbench.client.connections import Connection, DeliveryOutcome
from workbench.client.errors import NotFoundError
from workbench.client.models import (
    Artifact,
    Attempt,
    Change,
    Cluster,
    Frame,
    Health,
    LogSummary,
    Run,
    RunEnd,
    RunEvent,
    RunsListed,
    SavedPipeline,
    SecretNames,
    Step,
    StepCommand,
    StreamKey,
)
from workbench.client.run_request import RunRequest
from workbench.client.statistics import PipelineTrend
from workbench.client.step_reuse import StepReuse
from workbench.client.test_results import TestHistory, TestReport, decode_tests

_TIMES = re.compile(rb"(?m)^[^ \n]* ")
_MAX_RUN = 8 * 1024 * 1024
"""Bytes of the run: Kubernetes stores objects of up to 1.5 MiB."""


class BundleController:
    """The run of a bundle. Use it as a context manager, or close it."""

    def __init__(self, path: Path) -> None:
        """Open the file, and read everything but logs and artifacts. Raises BundleError."""
        self._archive = Archive(path)
        try:
            self.manifest: Manifest = self._parse(path)
            self._run = _with_logs(self._read_run(), self.manifest)
        except BundleError:
            self._archive.close()
            raise
        self._logs = {(log.step, log.attempt, log.container): log for log in self.manifest.logs}

    def _parse(self, path: Path) -> Manifest:
        # What the archive says of a damaged entry has the path already.
        document = self._archive.document(names.MANIFEST)
        try:
            return parse_manifest(document)
        except BundleError as error:
            raise BundleError(f"can't open {path}: {error}") from None

    def _read_run(self) -> Run:
        document = self._archive.document(names.RUN, _MAX_RUN)
        try:
            return parse_run(document, unfinished=self.manifest.as_of is not None)
        except BundleError as error:
            raise BundleError(f"can't open {self._archive.path}: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        # The workbench connects again after a failure; whoever opened the file closes it.
        return None

    @property
    def only_run(self) -> Run:
        """The run that the bundle is of."""
        return self._run

    # -- what the bundle has

    async def cluster(self) -> Cluster:
        found = self.manifest.cluster
        return Cluster(found.get("runtime") or "unknown", found.get("images") or "used", found.get("version") or "", ())

    async def run(self, name: str) -> Run:
        self._check(name)
        return self._run

    async def watch_runs(self, run: str | None = None) -> AsyncGenerator[Change, None]:
        """The one run; nothing changes after that."""
        yield RunsListed((self._run,) if run in (None, self._run.name) else ())
        await asyncio.Event().wait()

    async def events(self, name: str) -> tuple[RunEvent, ...]:
        self._check(name)
        found = (decode.decode_event(each) for each in await self._items(names.EVENTS))
        return tuple(
            replace(each, first_time=plausible(each.first_time), last_time=plausible(each.last_time)) for each in found
        )

    async def artifacts(self, run: str, *, step: str | None = None, limit: int | None = None) -> tuple[Artifact, ...]:
        self._check(run)
        found = (decode.decode_artifact(each) for each in await self._items(names.ARTIFACTS))
        return tuple(each for each in found if step in (None, each.step))[:limit]

    async def list_tests(self, run: str, *, step: str | None = None, failed: bool = False) -> TestReport:
        self._check(run)
        document = await asyncio.to_thread(self._archive.document, names.TESTS)
        report = decode_tests(document if isinstance(document, dict) else {})
        slugs = {each.slug for each in self._run.steps if step in (None, each.slug, each.name)}
        return TestReport(
            tuple(each for each in report.steps if each.step in slugs),
            tuple(each for each in report.tests if each.step in slugs and (each.failed or not failed)),
        )

    async def read_test_history(self, run: str, step: str) -> TestHistory:
        """Empty: a bundle has one run."""
        self._check(run)
        return TestHistory()

    async def explain_step(self, name: str, step: str) -> StepReuse:
        self._refuse("explain what was reused")

    async def list_statistics(self) -> tuple[PipelineTrend, ...]:
        return ()

    async def statistics(self, pipeline: str) -> PipelineTrend:
        raise NotFoundError("a bundle has one run: there is nothing to compare it with")

    async def commands(self, run: str, step: str, *, attempt: int | None = None) -> tuple[StepCommand, ...]:
        self._check(run)
        for each in await self._items(names.COMMANDS):
            if each.get("step") == step and attempt in (None, each.get("attempt")):
                items = each.get("items")
                found = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
                decoded = (decode.decode_step_command(item) for item in found)
                return tuple(replace(one, start=plausible(one.start), end=plausible(one.end)) for one in decoded)
        return ()

    async def download_file(self, run: str, step: str, path: str, target: Path) -> int:
        """Copy an artifact to a file; its size."""
        self._check(run)
        stored = next((each for each in self.manifest.files if (each.step, each.path) == (step, path)), None)
        if stored is None:
            raise NotFoundError(
                f"the content of {path} is not in the bundle; `c8s export --max-artifacts` sets how much"
            )
        return await asyncio.to_thread(self._copy, stored.entry, target)

    async def log_blocks(
        self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of whole lines; with `timestamps`, each after its time."""
        log = self._log(run, step, attempt, container)
        for chunk in log.chunks:
            data = await asyncio.to_thread(self._chunk, chunk, timestamps)
            if data:
                yield data

    async def logs(
        self,
        run: str,
        step: str,
        *,
        attempt: int | None = None,
        container: str | None = None,
        tail: int | None = None,
        timestamps: bool = False,
    ) -> AsyncGenerator[str, None]:
        """The lines, without newlines; of `tail` lines, only the chunks that have them are read."""
        found = self._run.step(step)
        last = found.last_attempt.number if found is not None and found.last_attempt is not None else 1
        log = self._log(run, step, attempt if attempt is not None else last, container or "step")
        lines: list[bytes] = []
        for chunk in log.chunks if tail is None else _last_chunks(log, tail):
            lines += (await asyncio.to_thread(self._chunk, chunk, timestamps)).split(b"\n")[:-1]
            if tail is None:
                for line in lines:
                    yield line.decode(errors="replace")
                lines = []
        for line in lines[-tail:] if tail else []:
            yield line.decode(errors="replace")

    async def stream_logs(
        self,
        run: str,
        steps: Iterable[str] = (),
        after: Mapping[StreamKey, int] | None = None,
        *,
        partial_lines: bool = False,
    ) -> AsyncGenerator[Frame, None]:
        """Nothing is written any more; stored logs come from `log_blocks`."""
        self._check(run)
        yield RunEnd()

    async def health(self) -> Health:
        self._refuse("show the state of a cluster")

    async def pipelines(self) -> tuple[SavedPipeline, ...]:
        return ()

    async def secrets(self) -> tuple[SecretNames, ...]:
        self._refuse("list secrets")

    async def connections(self) -> tuple[Connection, ...]:
        return ()

    # -- what takes a controller

    async def put_secret(self, name: str, data: Mapping[str, str]) -> tuple[str, ...]:
        self._refuse("set a secret")

    async def delete_secret(self, name: str) -> None:
        self._refuse("delete a secret")

    async def replay(self, name: str, delivery: str) -> DeliveryOutcome:
        self._refuse("handle a delivery again")

    async def approve(self, name: str, commit: str | None = None) -> Run:
        self._refuse("approve a run")

    async def cancel(self, name: str) -> Run:
        self._refuse("cancel a run")

    async def delete(self, name: str) -> None:
        self._refuse("delete a run")

    async def rerun(
        self,
        name: str,
        *,
        idempotency_key: str,
        from_failed: bool = False,
        failed_tests: bool = False,
        breakpoints: Sequence[tuple[str, str]] = (),
    ) -> Run:
        self._refuse("run it again")

    async def set_breakpoints(self, name: str, breakpoints: Sequence[tuple[str, str]]) -> Run:
        self._refuse("set breakpoints")

    async def continue_step(self, run: str, step: str, action: str = "go") -> None:
        self._refuse("continue a step")

    async def ensure_source(self, digest: str, archive: Path, progress: Any = None, *, delta: object = None) -> bool:
        self._refuse("send a source")

    async def create_run(self, request: RunRequest, *, idempotency_key: str) -> Run:
        self._refuse("start a run")

    # -- reading

    def _refuse(self, action: str) -> NoReturn:
        file = self._archive.path.name
        raise NoControllerError(f"can't {action}: {file} is the file of a run, and nothing runs there. Open a sandbox")

    def _check(self, run: str) -> None:
        if run != self._run.name:
            raise NotFoundError(f"the bundle has the run {self._run.name} only")

    async def _items(self, name: str) -> list[Mapping[str, Any]]:
        if not self._archive.has(name):
            return []
        document = await asyncio.to_thread(self._archive.document, name)
        items = document.get("items") if isinstance(document, dict) else None
        return [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []

    def _log(self, run: str, step: str, attempt: int, container: str) -> StoredLog:
        self._check(run)
        log = self._logs.get((step, attempt, container))
        if log is None:
            raise NotFoundError("the log is not in the bundle")
        if log.lines > names.MAX_LOG_LINES:
            raise BundleError(f"the log has {log.lines:,} lines, and c8s shows up to {names.MAX_LOG_LINES:,} of a file")
        return log

    def _chunk(self, chunk: LogChunk, timestamps: bool) -> bytes:
        data = self._archive.read(chunk.entry, chunk.bytes)
        if data.count(b"\n") > chunk.lines:
            raise BundleError(f"can't read {self._archive.path}: {chunk.entry} has more lines than it states")
        if data and not data.endswith(b"\n"):
            data += b"\n"
        return data if timestamps else _TIMES.sub(b"", data)

    def _copy(self, entry: str, target: Path) -> int:
        size = 0
        with atomic_file(target, mode=0o600) as file:
            for block in self._blocks(entry):
                size += file.write(block)
        return size

    def _blocks(self, entry: str) -> Iterator[bytes]:
        return self._archive.blocks(entry, names.MAX_FILE)


def _with_logs(run: Run, manifest: Manifest) -> Run:
    """The run, of whose logs nothing more comes: what was written until the export is all there is."""
    if manifest.as_of is None:
        return run
    stored = {(log.step, log.attempt) for log in manifest.logs}
    lines = {(log.step, log.attempt): log.lines for log in manifest.logs if log.container == "step"}

    def with_log(step: Step, attempt: Attempt) -> Attempt:
        key = (step.slug, attempt.number)
        if key not in stored or (attempt.log is not None and attempt.log.archived):
            return attempt
        return replace(attempt, log=LogSummary(lines.get(key, 0), 0, None, archived=True, first_failure=None))

    steps = (replace(step, attempts=tuple(with_log(step, each) for each in step.attempts)) for step in run.steps)
    return replace(run, steps=tuple(steps))


def _last_chunks(log: StoredLog, lines: int) -> list[LogChunk]:
    """The chunks that have the last lines of a log."""
    found: list[LogChunk] = []
    for chunk in reversed(log.chunks):
        if lines <= 0:
            break
        found.append(chunk)
        lines -= chunk.lines
    return found[::-1]
