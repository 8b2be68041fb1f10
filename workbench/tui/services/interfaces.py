"""Interfaces between the app, its screens and its services."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from textual.signal import Signal
from textual.widget import Widget

from workbench.bundle.playback import Playback
from workbench.client.connections import Connection, DeliveryOutcome
from workbench.client.models import (
    Artifact,
    Change,
    Cluster,
    Frame,
    Health,
    Run,
    RunEvent,
    SavedPipeline,
    SecretNames,
    StepCommand,
    StreamKey,
)
from workbench.client.statistics import PipelineTrend
from workbench.client.step_reuse import StepReuse
from workbench.client.test_results import TestHistory, TestReport
from workbench.pipeline_file.load import LintOutcome
from workbench.report.cluster_health import SandboxHealth
from workbench.runs.holds import Breakpoints, NextHolds
from workbench.runs.run_list import RunList
from workbench.session.notifications import NotificationHistory
from workbench.session.view_state import Layout
from workbench.submit.submit import PackedSource, RunApi


class ControllerApi(RunApi, Protocol):
    """The REST API of a controller. Streams reconnect by themselves; calls raise only `ClientError`."""

    async def cluster(self) -> Cluster: ...

    async def health(self) -> Health: ...

    async def pipelines(self) -> tuple[SavedPipeline, ...]: ...

    async def secrets(self) -> tuple[SecretNames, ...]: ...

    async def put_secret(self, name: str, data: Mapping[str, str]) -> tuple[str, ...]: ...

    async def delete_secret(self, name: str) -> None: ...

    async def connections(self) -> tuple[Connection, ...]: ...

    async def replay(self, name: str, delivery: str) -> DeliveryOutcome: ...

    async def approve(self, name: str, commit: str | None = None) -> Run: ...

    def logs(
        self,
        run: str,
        step: str,
        *,
        attempt: int | None = None,
        container: str | None = None,
        tail: int | None = None,
        timestamps: bool = False,
    ) -> AsyncGenerator[str, None]: ...

    async def cancel(self, name: str) -> Run: ...

    async def delete(self, name: str) -> None: ...

    async def rerun(
        self,
        name: str,
        *,
        idempotency_key: str,
        from_failed: bool = False,
        failed_tests: bool = False,
        breakpoints: Sequence[tuple[str, str]] = (),
    ) -> Run: ...

    async def set_breakpoints(self, name: str, breakpoints: Sequence[tuple[str, str]]) -> Run: ...

    async def continue_step(self, run: str, step: str, action: str = "go") -> None: ...

    async def explain_step(self, name: str, step: str) -> StepReuse: ...

    async def run(self, name: str) -> Run: ...

    async def events(self, name: str) -> tuple[RunEvent, ...]: ...

    async def artifacts(
        self, run: str, *, step: str | None = None, limit: int | None = None
    ) -> tuple[Artifact, ...]: ...

    async def list_tests(self, run: str, *, step: str | None = None, failed: bool = False) -> TestReport: ...

    async def read_test_history(self, run: str, step: str) -> TestHistory: ...

    async def list_statistics(self) -> tuple[PipelineTrend, ...]: ...

    async def statistics(self, pipeline: str) -> PipelineTrend: ...

    async def download_file(self, run: str, step: str, path: str, target: Path) -> int: ...

    async def commands(self, run: str, step: str, *, attempt: int | None = None) -> tuple[StepCommand, ...]: ...

    def log_blocks(
        self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]: ...

    def watch_runs(self, run: str | None = None) -> AsyncGenerator[Change, None]: ...

    def stream_logs(
        self,
        run: str,
        steps: Iterable[str] = (),
        after: Mapping[StreamKey, int] | None = None,
        *,
        partial_lines: bool = False,
    ) -> AsyncGenerator[Frame, None]: ...


OnConnectionError = Callable[[str | None], None]
"""Called with the error when the connection is lost, and with None when it is back."""

Connect = Callable[[OnConnectionError], AbstractAsyncContextManager[ControllerApi]]


ShellCommand = Callable[[str, str, str], Sequence[str]]
"""Builds the command that opens a shell, from the run's name, the step's slug and the container."""


@dataclass(frozen=True)
class LaunchResult:
    """A run that was started, and warnings about the source that was sent."""

    run: Run
    warnings: tuple[str, ...] = ()


class RunLauncher(Protocol):
    """Starts runs of one pipeline."""

    @property
    def path(self) -> Path:
        """The pipeline's file, or its name where it is saved in the cluster."""
        ...

    async def load(self, text: str | None = None) -> LintOutcome:
        """Read and lint the pipeline, or `text` in its place.

        Raises:
            LaunchError: the file can't be read.
        """
        ...

    def packed(self, definition: Mapping[str, Any]) -> AbstractAsyncContextManager[PackedSource | None]:
        """Pack what a run of this definition is made from; None without files.

        Raises:
            LaunchError: the working tree can't be read.
        """
        ...

    async def launch(
        self,
        controller: ControllerApi,
        definition: Mapping[str, Any],
        *,
        params: Mapping[str, str] | None = None,
        reuse_from: str | None = None,
        failed_tests_of: str | None = None,
        source: PackedSource | None = None,
        breakpoints: Sequence[tuple[str, str]] = (),
    ) -> LaunchResult:
        """Send the working tree, or `source` if it is packed already, and create a run of what `load` has returned.

        Raises:
            LaunchError: the working tree can't be read or sent.
            ClientError: the controller refused the run or can't be reached.
        """
        ...


class LaunchError(Exception):
    """A run can't be started because of a local file; the message says why and what to do."""


class RunFeedState(Protocol):
    """What is known of the controller and its runs; `RunFeed` keeps it up to date."""

    @property
    def runs(self) -> RunList: ...

    @property
    def controller(self) -> ControllerApi | None: ...

    @property
    def cluster(self) -> Cluster | None: ...

    @property
    def connection_error(self) -> str | None: ...

    @property
    def lost_at(self) -> datetime | None: ...


class WorkbenchContext(Protocol):
    """The app as its screens see it: shared state, signals, and actions that any screen can call."""

    runs_changed: Signal[None]
    clock_ticked: Signal[None]
    """Published every second while a run is active."""
    connection_changed: Signal[None]
    messages: NotificationHistory

    @property
    def endpoint_label(self) -> str: ...

    @property
    def is_watching(self) -> bool:
        """Whether a run starts after each save."""
        ...

    @property
    def feed(self) -> RunFeedState: ...

    @property
    def launcher(self) -> RunLauncher | None: ...

    @property
    def as_of(self) -> datetime | None:
        """The time at which the run of a file was as it is, if it had not ended."""
        ...

    def now(self) -> datetime:
        """The time; it stands still while the connection is lost, so that nothing looks live."""
        ...

    @property
    def can_start_sandbox(self) -> bool: ...

    @property
    def command_options(self) -> str:
        """The options that select this controller in a command, such as ` --name other`."""
        ...

    @property
    def ascii_only(self) -> bool:
        """Whether the terminal shows ASCII characters only."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether the workbench changes nothing."""
        ...

    def refuse_to_write(self) -> None:
        """Say that it changes nothing."""
        ...

    def hold_keys(self, seconds: float = ...) -> AbstractContextManager[None]: ...

    def start_once(self, what: str) -> AbstractContextManager[bool]: ...

    def open_started(self, name: str, asked_in: Widget | None) -> None: ...

    @property
    def sandbox(self) -> Callable[[], Awaitable[SandboxHealth]] | None: ...

    @property
    def disk_problem(self) -> str | None: ...

    @property
    def shell(self) -> ShellCommand | None: ...

    @property
    def next_holds(self) -> NextHolds:
        """Where steps are held in the next runs that are started here."""
        ...

    def saved_layout(self, state_key: str) -> Layout: ...

    def save_view(self) -> None: ...

    def close_missing_run(self) -> None: ...

    def open_run(self, name: str, step: str | None = None, *, above: bool = False) -> None: ...

    def open_replay(self, playback: Playback, step: str | None) -> None: ...

    def open_details(self, run: str, step: str | None, tab: str) -> None: ...

    def edit_file(self, path: Path) -> None: ...

    def watch_run(self, name: str) -> None: ...

    def close_to(self, crumb: str) -> None:
        """Close the screens above that of this run, or, if it is none that is open, above the list of runs."""
        ...

    def pipeline_saved(self, path: Path) -> None: ...

    def action_launch(self) -> None: ...

    def launch_text(self, path: Path, text: str) -> None: ...

    def take_holds(self, definition: Mapping[str, Any]) -> Breakpoints: ...

    def launch_with(self, launcher: RunLauncher, reuse_from: str | None = None) -> None: ...
