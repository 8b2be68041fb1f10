"""The workbench on a fake controller, and runs in every state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from textual.app import App
from textual.dom import DOMNode

from workbench.client import (
    Artifact,
    Attempt,
    AttemptTimes,
    BacklogEnd,
    Change,
    Cluster,
    FirstFailure,
    Frame,
    Health,
    Lines,
    LogLine,
    LogSummary,
    Run,
    RunChanged,
    RunEnd,
    RunEvent,
    RunsListed,
    SavedPipeline,
    SecretNames,
    Step,
    StreamEnd,
    StreamKey,
    Summary,
)
from workbench.client.connections import Connection, DeliveryOutcome
from workbench.client.errors import ClientError, NotFoundError
from workbench.client.models import CommandStarted, StepCommand
from workbench.client.run_request import RunRequest
from workbench.client.statistics import PipelineTrend
from workbench.client.step_reuse import StepReuse, decode_step_reuse
from workbench.client.test_results import TestHistory, TestReport
from workbench.logs.step_logs import to_microseconds
from workbench.pipeline_file.load import LintOutcome
from workbench.submit.submit import PackedSource
from workbench.tui import app as app_module
from workbench.tui.app import Workbench, WorkbenchOptions
from workbench.tui.options import DEFAULT_OPTIONS, AppOptions
from workbench.tui.services.interfaces import ControllerApi, LaunchResult, OnConnectionError

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)

_BLOCK_LINES = 100
"""Lines in a block of a stored log."""
_ENDED = ("Succeeded", "Failed", "Skipped", "Cancelled")


def step(
    name: str,
    depends_on: tuple[str, ...] = (),
    phase: str = "Pending",
    *,
    started_ago: float = 60,
    duration: float = 1.5,
    message: str | None = None,
    first_failure: FirstFailure | None = None,
    containers: tuple[str, ...] = ("step",),
    attempts: int = 1,
) -> Step:
    """A step that started `started_ago` seconds ago."""
    started = NOW - timedelta(seconds=started_ago)
    ended = started + timedelta(seconds=duration) if phase in _ENDED else None
    times = AttemptTimes(created=started, scheduled=started, running=started, finished=ended)
    log = LogSummary(9, 99, None, True, first_failure) if phase in _ENDED else None
    ran = phase in ("Running", "Succeeded", "Failed")
    made = tuple(
        Attempt(n + 1, None, None, phase, None, message, 1 if phase == "Failed" else 0, times, containers, log)
        for n in range(attempts)
    )
    return Step(
        name, name, depends_on, False, phase, None, message, started if ran else None, ended, (), made if ran else ()
    )


def run(
    name: str,
    phase: str,
    steps: Iterable[Step],
    *,
    created_ago: float = 65,
    duration: float = 12.3,
    message: str | None = None,
    branch: str = "main",
) -> Run:
    """A run that was made `ago` seconds ago."""
    created = NOW - timedelta(seconds=created_ago)
    steps = tuple(steps)

    def count(*phases: str) -> int:
        return sum(one.phase in phases for one in steps)

    summary = Summary(
        len(steps), count("Succeeded"), count("Failed"), count("Skipped"), count("Cancelled"),
        count("Running"), count("Pending"),
    )  # fmt: skip
    return Run(
        name=name, namespace="default", uid=name, number=int(name.rsplit("-", 1)[-1]), pipeline=name.rsplit("-", 1)[0],
        created_at=created, resource_version="1", branch=branch, commit="1a2b3c4d5e-dirty", event="push", params={},
        priority=None, triggered_by=None, rerun_of=None, cancel_requested=False, definition=None, phase=phase,
        reason=None, message=message, start_time=created,
        completion_time=created + timedelta(seconds=duration) if phase in _ENDED else None,
        summary=summary, images="ignored", runtime="process://0.1", steps=steps, raw={},
    )  # fmt: skip


def webshop(phase: str = "Running") -> Run:
    """Twelve steps in mid-run."""
    return run(
        "webshop-42",
        phase,
        [
            step("clone", (), "Succeeded", started_ago=64, duration=0.8),
            step("deps", ("clone",), "Succeeded", started_ago=63, duration=6.2),
            step("scan", ("clone",), "Succeeded", started_ago=63, duration=14.9),
            step("lint", ("deps",), "Succeeded", started_ago=56, duration=3.1),
            step("unit", ("deps",), "Failed", started_ago=56, duration=21.4, message="exit code 1",
                 first_failure=FirstFailure(4, "tests/test_cart.py:31: AssertionError: 2 != 3")),
            step("build-api", ("deps",), "Succeeded", started_ago=56, duration=31.0),
            step("build-web", ("deps",), "Running", started_ago=56),
            step("image", ("build-api", "build-web")),
            step("integration", ("image",)),
            step("end-to-end", ("image",)),
            step("publish", ("lint", "unit", "integration", "end-to-end", "scan"), "Skipped",
                 message="skipped because unit failed"),
            step("notify", ("publish",), "Skipped", message="skipped because unit failed"),
        ],
        message="5 of 12 steps done, 1 failed, 1 running",
    )  # fmt: skip


def hello(number: int = 7, phase: str = "Succeeded", branch: str = "main", created_ago: float = 3600) -> Run:
    return run(
        f"hello-{number}",
        phase,
        [
            step("greet", (), phase, started_ago=created_ago),
            step("count", ("greet",), phase, started_ago=created_ago),
            step("bye", ("count",), phase, started_ago=created_ago),
        ],
        created_ago=created_ago,
        duration=1.42,
        message="3 of 3 steps succeeded",
        branch=branch,
    )


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
        found = [Artifact("build", path, size, None) for path, size in sizes.items()]
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


class FakeLauncher:
    """Starts `run`, or raises it where it is an error. `pipeline` is what lint makes of the file."""

    def __init__(
        self,
        run: Run | Exception | None = None,
        path: Path = Path("/home/me/shop/.c8s.yaml"),
        pipeline: str = "hello",
    ) -> None:
        self.path = path
        self.run = run
        self.launches = 0
        self.pipeline = LintOutcome((), {"name": pipeline})
        self.text: str | None = None
        self.options: dict[str, Any] = {}

    async def load(self, text: str | None = None) -> LintOutcome:
        self.text = text
        return self.pipeline

    @asynccontextmanager
    async def packed(self, definition: Mapping[str, Any]) -> AsyncGenerator[PackedSource | None, None]:
        yield None

    async def launch(self, controller: ControllerApi, definition: Mapping[str, Any], **options: Any) -> LaunchResult:
        self.options = options
        self.launches += 1
        if isinstance(self.run, Exception):
            raise self.run
        assert self.run is not None
        return LaunchResult(self.run)


class FakeWorkbench(Workbench):
    """The workbench on a fake controller."""

    CSS_PATH = Path(app_module.__file__).with_name("app.tcss")

    def __init__(
        self,
        runs: Iterable[Run] = (),
        *,
        lines: Mapping[str, list[str]] | None = None,
        options: AppOptions = DEFAULT_OPTIONS,
        fail_fast: bool = True,
        **workbench_options: Any,
    ) -> None:
        self.fail_fast = fail_fast
        """Whether a failure that the app would survive fails the test."""
        self.controller = FakeController(runs)
        self.controller.lines.update(lines or {})
        self.set_connection_error: OnConnectionError = lambda _: None
        """Breaks the connection, or with None restores it, as the client would."""
        super().__init__(
            self._connect, WorkbenchOptions(endpoint_label="default", now=lambda: NOW, **workbench_options), options
        )

    def report_failure(self, node: DOMNode, error: Exception) -> None:
        super().report_failure(node, error)
        if self.fail_fast:
            App._handle_exception(self, error)

    @asynccontextmanager
    async def _connect(self, on_error: OnConnectionError) -> AsyncIterator[ControllerApi]:
        self.set_connection_error = on_error
        yield self.controller

    def change_run(self, new: Run) -> None:
        """Let the controller report a run that is new or has changed."""
        self.controller.listed = (*(one for one in self.controller.listed if one.name != new.name), new)
        self.controller.changes.put_nowait(RunChanged(new))


UNIT_LINES = [
    "$ python -m pytest -q",
    "\x1b[32mtests/test_price.py ............\x1b[0m  [ 44%]",
    "\x1b[31mtests/test_cart.py ......F.....\x1b[0m   [ 88%]",
    "tests/test_cart.py:31: AssertionError: 2 != 3",
    "",
    "\x1b[1;31mFAILED\x1b[0m tests/test_cart.py::test_total - AssertionError: 2 != 3",
    "\x1b[31m1 failed\x1b[0m, \x1b[32m26 passed\x1b[0m in 20.61s",
]


def busy_app(**options: Any) -> FakeWorkbench:
    """A workbench with a run that is active and three that have ended."""
    runs = [
        webshop(),
        hello(7),
        run("wordcount-12", "Failed", [step("lint", (), "Succeeded"), step("test", ("lint",), "Failed")],
            created_ago=300, message="test failed: exit code 1", branch="feature/long-branch-name"),
        run("hello-6", "Cancelled", [step("greet", (), "Succeeded"), step("count", ("greet",), "Cancelled")],
            created_ago=86_400 * 3, message="cancelled by a person"),
    ]  # fmt: skip
    return FakeWorkbench(runs, lines={"unit": UNIT_LINES, "clone": ["Cloning …", "done"]}, **options)
