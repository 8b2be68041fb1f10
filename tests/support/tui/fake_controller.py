"""A controller that answers with what a test has set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.tui.fake_runs import hello
from workbench.client import (
    Artifact,
    BacklogEnd,
    Change,
    Cluster,
    Frame,
    Health,
    Lines,
    LogLine,
    Run,
    RunChanged,
    RunEnd,
    RunEvent,
    RunsListed,
    SavedPipeline,
    SecretNames,
    StreamEnd,
    StreamKey,
)
from workbench.client.connections import Connection, DeliveryOutcome
from workbench.client.errors import ClientError, NotFoundError
from workbench.client.models import CommandStarted, StepCommand
from workbench.client.run_request import RunRequest
from workbench.client.statistics import PipelineTrend
from workbench.client.step_reuse import StepReuse, decode_step_reuse
from workbench.client.test_results import TestHistory, TestReport
from workbench.logs.step_logs import to_microseconds

_BLOCK_LINES = 100
"""Lines in a block of a stored log."""


class FakeController:
    """Answers with what a test has set; its streams wait for what the test sends."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self.changes: asyncio.Queue[Change | ClientError] = asyncio.Queue()
        self.listed = tuple(runs)
        self.lines: dict[str, list[str]] = {}
        self.step_commands: dict[str, list[StepCommand]] = {}
        self.cancelled: list[str] = []
        self.deleted: list[str] = []
        self.rerun_failed_tests: list[bool] = []
        self.test_report = TestReport((), ())
        self.trends: dict[str, PipelineTrend] = {}
        self.test_histories: dict[str, TestHistory] = {}
        self.rerun_of: list[tuple[str, bool]] = []
        self.rerun_breakpoints: tuple[tuple[str, str], ...] = ()
        self.continued: list[tuple[str, str, str]] = []
        self.run_events: tuple[RunEvent, ...] = ()
        self.artifact_files: dict[str, bytes] = {}
        """Of the step `build`, by path."""
        self.artifact_step = "build"
        self.artifact_sizes: dict[str, int] = {}
        self.downloaded: list[str] = []
        """Sizes that differ from those of the files."""
        self.log_requests: list[tuple[str, dict[StreamKey, int]]] = []
        self.live_frames: dict[str, asyncio.Queue[Frame]] = {}
        self.health_report = Health((), 0, None, (), ())
        self.saved_pipelines: tuple[SavedPipeline, ...] = ()
        self.created_runs: list[RunRequest] = []
        self.stored_secrets: tuple[SecretNames, ...] = ()
        self.secret_values: dict[str, dict[str, str]] = {}
        """What was set, by name and key."""
        self.known_connections: tuple[Connection, ...] = ()
        self.replayed: list[tuple[str, str]] = []
        self.approved: list[tuple[str, str | None]] = []
        self.error: ClientError | None = None

    async def cluster(self) -> Cluster:
        if self.error is not None:
            raise self.error
        return Cluster("process://0.1", "ignored", "v1.36.2", ("default",))

    async def health(self) -> Health:
        return self.health_report

    async def pipelines(self) -> tuple[SavedPipeline, ...]:
        return self.saved_pipelines

    async def secrets(self) -> tuple[SecretNames, ...]:
        return self.stored_secrets

    async def put_secret(self, name: str, data: Mapping[str, str]) -> tuple[str, ...]:
        if self.error is not None:
            raise self.error
        self.secret_values.setdefault(name, {}).update(data)
        others = [each for each in self.stored_secrets if each.name != name]
        keys = {key for each in self.stored_secrets if each.name == name for key in each.keys} | data.keys()
        self.stored_secrets = (*others, SecretNames(name, tuple(sorted(keys))))
        return tuple(f"{key} is too short to be masked" for key, value in data.items() if len(value) < 4)

    async def delete_secret(self, name: str) -> None:
        self.stored_secrets = tuple(each for each in self.stored_secrets if each.name != name)

    async def connections(self) -> tuple[Connection, ...]:
        if self.error is not None:
            raise self.error
        return self.known_connections

    async def replay(self, name: str, delivery: str) -> DeliveryOutcome:
        self.replayed.append((name, delivery))
        return DeliveryOutcome("Ignored", "the branch x matches none of: main", ())

    async def approve(self, name: str, commit: str | None = None) -> Run:
        if self.error is not None:
            raise self.error
        self.approved.append((name, commit))
        return await self.run(name)

    async def logs(self, run: str, step: str, *, tail: int | None = None, **_: Any) -> AsyncGenerator[str, None]:
        for line in self.lines.get(step, [])[-(tail or 0) :]:
            yield line

    async def cancel(self, name: str) -> Run:
        self.cancelled.append(name)
        found = next(one for one in self.listed if one.name == name)
        return replace(found, cancel_requested=True)

    async def commands(self, run: str, step: str, *, attempt: int | None = None) -> tuple[StepCommand, ...]:
        return tuple(self.step_commands.get(step, ()))

    async def log_blocks(
        self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]:
        self.log_requests.append((step, {}))
        lines = self.lines.get(step, [])
        for first in range(0, len(lines), _BLOCK_LINES):
            numbered = enumerate(lines[first : first + _BLOCK_LINES], first)
            stamped = ((f"2026-01-01T11:59:00.{at:06}Z " if timestamps else "", text) for at, text in numbered)
            yield "".join(f"{stamp}{text}\n" for stamp, text in stamped).encode()

    async def delete(self, name: str) -> None:
        self.deleted.append(name)

    async def rerun(
        self,
        name: str,
        *,
        idempotency_key: str,
        from_failed: bool = False,
        failed_tests: bool = False,
        breakpoints: Sequence[tuple[str, str]] = (),
    ) -> Run:
        self.rerun_of.append((name, from_failed))
        self.rerun_failed_tests.append(failed_tests)
        if self.error is not None:
            raise self.error
        self.rerun_breakpoints = tuple(breakpoints)
        return hello(8, "Running")

    async def set_breakpoints(self, name: str, breakpoints: Sequence[tuple[str, str]]) -> Run:
        if self.error is not None:
            raise self.error
        changed = replace(await self.run(name), breakpoints=tuple(breakpoints))
        self.listed = tuple(changed if one.name == name else one for one in self.listed)
        self.changes.put_nowait(RunChanged(changed))
        return changed

    async def continue_step(self, run: str, step: str, action: str = "go") -> None:
        if self.error is not None:
            raise self.error
        self.continued.append((run, step, action))

    async def explain_step(self, name: str, step: str) -> StepReuse:
        if self.error is not None:
            raise self.error
        raw = {
            "step": step,
            "slug": step,
            "comparedWith": "web-1",
            "reason": "its inputs differ from those in run web-1",
        }
        return decode_step_reuse({**raw, "differences": [{"kind": "file", "name": "src/app.py", "change": "~"}]})

    async def run(self, name: str) -> Run:
        return next(one for one in self.listed if one.name == name)

    async def events(self, name: str) -> tuple[RunEvent, ...]:
        return self.run_events

    async def artifacts(self, run: str, *, step: str | None = None, limit: int | None = None) -> tuple[Artifact, ...]:
        sizes = {path: len(data) for path, data in self.artifact_files.items()} | self.artifact_sizes
        found = [Artifact(self.artifact_step, path, size, None) for path, size in sizes.items()]
        return tuple(each for each in found if step in (None, each.step))[:limit]

    async def list_tests(self, run: str, *, step: str | None = None, failed: bool = False) -> TestReport:
        if self.error is not None:
            raise self.error
        tests = tuple(
            each for each in self.test_report.tests if step in (None, each.step) and (each.failed or not failed)
        )
        return TestReport(self.test_report.steps, tests)

    async def read_test_history(self, run: str, step: str) -> TestHistory:
        if self.error is not None:
            raise self.error
        return self.test_histories.get(step, TestHistory())

    async def list_statistics(self) -> tuple[PipelineTrend, ...]:
        if self.error is not None:
            raise self.error
        return tuple(self.trends.values())

    async def statistics(self, pipeline: str) -> PipelineTrend:
        if self.error is not None or pipeline not in self.trends:
            raise self.error or NotFoundError("no run of it has ended")
        return self.trends[pipeline]

    async def download_file(self, run: str, step: str, path: str, target: Path) -> int:
        self.downloaded.append(path)
        return target.write_bytes(self.artifact_files[path])

    async def watch_runs(self, run: str | None = None) -> AsyncGenerator[Change, None]:
        yield RunsListed(self.listed)
        while True:
            change = await self.changes.get()
            if isinstance(change, ClientError):
                raise change
            yield change

    async def stream_logs(
        self,
        run: str,
        steps: Iterable[str] = (),
        after: Mapping[StreamKey, int] | None = None,
        *,
        partial_lines: bool = False,
    ) -> AsyncGenerator[Frame, None]:
        (slug,) = steps
        self.log_requests.append((slug, dict(after or {})))
        key = StreamKey(slug, 1, "step")
        for command in self.step_commands.get(slug, []):
            yield CommandStarted(key, command.index, command.line, to_microseconds(command.start), command.text)
        lines = self.lines.get(slug, [])
        have = (after or {}).get(key, 0)
        if lines[have:]:
            shown = tuple(LogLine(1_767_268_740_000_000 + at, text) for at, text in enumerate(lines[have:]))
            yield Lines(key, have + 1, shown)
        yield BacklogEnd(key)
        if slug in self.live_frames:
            while True:
                yield await self.live_frames[slug].get()
        yield StreamEnd(key, len(lines))
        yield RunEnd()

    async def ensure_source(
        self, digest: str, archive: Path, progress: Callable[[int], None] = lambda _: None, *, delta: object = None
    ) -> bool:
        return True

    async def create_run(self, request: RunRequest, *, idempotency_key: str) -> Run:
        if self.error is not None:
            raise self.error
        self.created_runs.append(request)
        return hello(8, "Running")
