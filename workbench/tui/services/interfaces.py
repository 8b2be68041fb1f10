"""What the app needs of the world, as narrow as it uses it: a controller, and a way to start runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from controller.pipeline.diagnostics import Diagnostic
from workbench.client.models import Change, Cluster, Frame, Health, Run, RunEvent, SavedPipeline, StreamKey
from workbench.submit.submit import RunApi


class ControllerApi(RunApi, Protocol):
    """A connected controller. Its streams reconnect by themselves; every call raises `ClientError`s only."""

    async def cluster(self) -> Cluster: ...

    async def health(self) -> Health: ...

    async def pipelines(self) -> tuple[SavedPipeline, ...]: ...

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

    async def rerun(self, name: str, *, idempotency_key: str, from_failed: bool = False) -> Run: ...

    async def run(self, name: str) -> Run: ...

    async def events(self, name: str) -> tuple[RunEvent, ...]: ...

    async def download_file(self, run: str, step: str, path: str, target: Path) -> int: ...

    def log_blocks(
        self, run: str, step: str, *, attempt: int, container: str, timestamps: bool = False
    ) -> AsyncGenerator[bytes, None]: ...

    def watch_runs(self, run: str | None = None) -> AsyncGenerator[Change, None]: ...

    def stream_logs(
        self, run: str, steps: Iterable[str] = (), after: Mapping[StreamKey, int] | None = None
    ) -> AsyncGenerator[Frame, None]: ...


OnConnectionError = Callable[[str | None], None]
"""Told what is wrong with the connection, and None when it is well again."""

Connect = Callable[[OnConnectionError], AbstractAsyncContextManager[ControllerApi]]


ShellCommand = Callable[[str, str, str], Sequence[str]]
"""The command that opens a shell in a container (last) of a step (its slug) of a run (first)."""


@dataclass(frozen=True)
class LaunchResult:
    """What came of an attempt to start a run: the run, or the reasons why there is none."""

    run: Run | None
    problems: tuple[Diagnostic, ...] = ()
    warnings: tuple[str, ...] = ()
    source: str = ""
    """What was sent, in a few words."""


class RunLauncher(Protocol):
    """Starts runs of one pipeline file."""

    @property
    def path(self) -> Path: ...

    async def definition(self, *, text: str | None = None) -> Mapping[str, Any] | None:
        """The pipeline in the file, or in `text`; None when it has errors. Raises LaunchError."""
        ...

    async def launch(
        self,
        controller: ControllerApi,
        *,
        text: str | None = None,
        params: Mapping[str, str] | None = None,
        reuse_from: str | None = None,
    ) -> LaunchResult:
        """Check the file (or `text` in its place), send the working tree, create the run.

        Raises:
            LaunchError: the file or the tree can't be read or sent.
            ClientError: the controller did not do it.
        """
        ...


class LaunchError(Exception):
    """A run can't be started from this machine's side; the message says why and what to do."""
