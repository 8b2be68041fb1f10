"""What the app needs of the world, as narrow as it uses it: a controller, and a way to start runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from workbench.client.views import Change, Cluster, Frame, Run, StreamKey


class Controller(Protocol):
    """A connected controller. Its streams reconnect by themselves; every call raises `ClientError`s only."""

    async def cluster(self) -> Cluster: ...

    async def cancel(self, name: str) -> Run: ...

    def watch_runs(self, run: str | None = None) -> AsyncGenerator[Change, None]: ...

    def stream_logs(
        self, run: str, steps: Iterable[str] = (), after: Mapping[StreamKey, int] | None = None
    ) -> AsyncGenerator[Frame, None]: ...

    async def ensure_source(self, digest: str, archive: Path, progress: Callable[[int], None] = ...) -> bool: ...

    async def create_run(
        self,
        pipeline: Mapping[str, Any],
        *,
        key: str,
        source: str | None = None,
        branch: str | None = None,
        commit: str | None = None,
        event: str | None = None,
    ) -> Run: ...


OnTrouble = Callable[[str | None], None]
"""Told what is wrong with the connection, and None when it is well again."""

Connect = Callable[[OnTrouble], AbstractAsyncContextManager[Controller]]


@dataclass(frozen=True)
class Finding:
    """Something wrong with the pipeline file. Line and column count from 1; 0 means the whole file."""

    line: int
    column: int
    severity: str
    message: str
    hint: str | None


@dataclass(frozen=True)
class Checked:
    """What lint says of a file. `definition` is the normalised pipeline when there is no error in it."""

    findings: tuple[Finding, ...]
    definition: Mapping[str, Any] | None


CheckFile = Callable[[bytes], Checked]


@dataclass(frozen=True)
class Launched:
    """What came of an attempt to start a run: the run, or the reasons why there is none."""

    run: Run | None
    findings: tuple[Finding, ...] = ()
    warnings: tuple[str, ...] = ()


class Launches(Protocol):
    """Starts runs of one pipeline file."""

    @property
    def path(self) -> Path: ...

    async def launch(self, controller: Controller) -> Launched:
        """Check the file, send the working tree, create the run.

        Raises:
            LaunchError: the file or the tree can't be read or sent.
            ClientError: the controller did not do it.
        """
        ...


class LaunchError(Exception):
    """A run can't be started from this machine's side; the message says why and what to do."""
