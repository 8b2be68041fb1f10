"""Providers of a first sandbox: each checks its requirements and starts a sandbox."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from workbench.session.startup_progress import ProgressEvent, StepEvent

if TYPE_CHECKING:
    from workbench.sandbox import Endpoint

Level = Literal["ok", "warning", "error"]
_MIN_FREE_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True)
class Requirement:
    """A requirement of a provider, and the result of checking it."""

    name: str
    level: Level
    found: str
    remedy: str = ""


class SandboxStartError(Exception):
    """The sandbox could not be started; `remedy` says what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class SandboxProvider(Protocol):
    """A kind of sandbox."""

    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...

    async def requirements(self) -> Sequence[Requirement]: ...

    def steps(self) -> Sequence[tuple[str, str]]:
        """Name and title of each step of the start."""
        ...

    async def start(self, on_event: Callable[[StepEvent], None]) -> Endpoint:
        """Start the sandbox; may be cancelled and called again, and then skips finished steps. Raises StartError."""
        ...


@dataclass(frozen=True)
class EmbeddedProvider:
    """Two processes on this machine."""

    name: str
    runtime: str | None = None
    """What is to run the steps; None: as configured."""
    title: str = "Embedded: two processes on this machine"
    description: str = (
        "A small cluster and the controller, on 127.0.0.1 only, ready in a second. Steps run in their images in Docker "
        "or Podman if one of them runs; otherwise as you, without isolation and without images. It runs until "
        "`c8s down`."
    )

    async def requirements(self) -> Sequence[Requirement]:
        return [*await asyncio.to_thread(_check_host), await _check_runtime(self.runtime)]

    def steps(self) -> Sequence[tuple[str, str]]:
        return [("sandbox", f"Start the sandbox {self.name}")]

    async def start(self, on_event: Callable[[StepEvent], None]) -> Endpoint:
        from workbench.client.endpoint import SandboxError
        from workbench.sandbox import Sandboxes

        started = time.monotonic()

        def tell(kind: str, text: str) -> None:
            on_event(ProgressEvent("sandbox", kind, text, time.monotonic() - started))

        tell("started", "two processes")
        try:
            endpoint = await Sandboxes(runtime=self.runtime).up(self.name, lambda text: tell("said", text))
        except (SandboxError, OSError) as error:
            tell("failed", str(error))
            raise SandboxStartError(
                str(error), f"`c8s down --name {self.name}` removes the remains; then try again"
            ) from error
        tell("done", endpoint.url)
        return endpoint


def embedded_providers(name: str, runtime: str | None) -> Sequence[EmbeddedProvider]:
    """The embedded sandbox with this runtime; without one, also with processes where an engine would be taken."""
    found = EmbeddedProvider(name, runtime)
    if runtime is not None:
        return [found]
    processes = EmbeddedProvider(
        name,
        "process",
        "Embedded, without images",
        "The same, but steps run as you even where Docker or Podman runs: without their images and without isolation, "
        "from the programs of this machine. They start sooner. It runs until `c8s down`.",
    )
    return [found, processes]


class StartReport(Protocol):
    """Receives the progress of a start."""

    def said(self, text: str) -> None:
        """Something that the user should know."""
        ...

    def listening(self) -> None:
        """The processes run."""
        ...

    def waiting(self, why: str) -> None:
        """They are not ready yet."""
        ...


class OpeningProvider:
    """Starts a sandbox for as long as the workbench is open.

    Args:
        attach: attaches to the sandbox, and reports how that goes on.
        load: loads, in a thread, what is shown afterwards.
        remedy: what to do when the start fails.
    """

    description = (
        "Two processes on this machine. The sandbox is stopped with the workbench, unless `c8s up` started it."
    )

    def __init__(
        self,
        name: str,
        attach: Callable[[StartReport], Awaitable[Endpoint]],
        load: Callable[[], None],
        remedy: str | None = None,
    ) -> None:
        self._attach, self._load = attach, load
        self._remedy = remedy or f"`c8s status --name {name}` says more."
        self.title = f"Sandbox {name}"
        self.failure: Exception | None = None
        """Why the last start failed."""

    async def requirements(self) -> Sequence[Requirement]:
        return []

    def steps(self) -> Sequence[tuple[str, str]]:
        return [
            ("processes", "Start its processes"),
            ("ready", "Wait until they are ready"),
            ("workbench", "Load the workbench"),
        ]

    async def start(self, on_event: Callable[[StepEvent], None]) -> Endpoint:
        from workbench.client.endpoint import SandboxError

        self.failure, report = None, _OpeningReport(on_event)
        report.begin("processes")
        try:
            endpoint = await self._attach(report)
        except (SandboxError, OSError) as error:
            report.failed(str(error))
            self.failure = error
            raise SandboxStartError(str(error), self._remedy) from error
        report.end("processes")
        report.end("ready")
        # Not before: it would take the processor from what is awaited.
        report.begin("workbench")
        await asyncio.to_thread(self._load)
        report.end("workbench")
        return endpoint


class _OpeningReport:
    """Turns the report of a start into events of its steps, with the seconds that each takes."""

    def __init__(self, on_event: Callable[[StepEvent], None]) -> None:
        self._on_event = on_event
        self._started: dict[str, float] = {}
        self._ended: set[str] = set()

    def begin(self, step: str, text: str = "") -> None:
        self._started.setdefault(step, time.monotonic())
        self._tell(step, "started", text)

    def end(self, step: str) -> None:
        if step not in self._ended:
            self._ended.add(step)
            self._started.setdefault(step, time.monotonic())
            self._tell(step, "done", "")

    def failed(self, text: str) -> None:
        self._tell("ready" if "processes" in self._ended else "processes", "failed", text.partition("\n")[0])

    def said(self, text: str) -> None:
        self._tell("processes", "said", text)

    def listening(self) -> None:
        if "processes" not in self._ended:
            self.end("processes")
            self.begin("ready")

    def waiting(self, why: str) -> None:
        if "ready" not in self._ended:
            self.begin("ready", why)

    def _tell(self, step: str, kind: str, text: str) -> None:
        now = time.monotonic()
        self._on_event(ProgressEvent(step, kind, text, now - self._started.get(step, now)))


@dataclass(frozen=True)
class KindProvider:
    """A cluster of its own in Docker."""

    name: str
    title: str = "kind: a real Kubernetes in Docker"
    description: str = (
        "A cluster of its own with an object store; steps run in their images, isolated from this machine. It takes "
        "some minutes the first time. What is done already is not done again."
    )

    async def requirements(self) -> Sequence[Requirement]:
        from kind.doctor.checks import run_checks

        return [Requirement(each.check, each.level, each.found, each.remedy) for each in await run_checks()]

    def steps(self) -> Sequence[tuple[str, str]]:
        from kind.cluster.bootstrap import Bootstrap
        from workbench.sandbox import kind_sandbox

        return [(step.name, step.title) for step in Bootstrap(kind_sandbox.options_for(self.name)).steps()]

    async def start(self, on_event: Callable[[StepEvent], None]) -> Endpoint:
        from kind.errors import KindError
        from workbench.client.endpoint import SandboxError
        from workbench.config.contexts import ContextError
        from workbench.sandbox import kind_sandbox

        try:
            return await kind_sandbox.up(kind_sandbox.options_for(self.name), on_event)
        except KindError as error:
            raise SandboxStartError(error.message, error.remedy) from error
        except (SandboxError, ContextError, OSError) as error:
            raise SandboxStartError(str(error)) from error


async def _check_runtime(given: str | None) -> Requirement:
    """What would run the steps."""
    from workbench.client.endpoint import SandboxError
    from workbench.sandbox.container_runtime import find_runtime

    try:
        chosen = await find_runtime(given)
    except SandboxError as error:
        return Requirement("steps", "error", str(error), "start the engine, or choose the runtime process")
    return Requirement("steps", "ok", chosen.describe())


def _check_host() -> list[Requirement]:
    """Check the requirements of the embedded sandbox on this machine."""
    from workbench.sandbox.paths import state_root

    root = state_root()
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    return [_check_state_folder(root, there), _check_disk(there), _check_loopback(), _check_shell()]


def _check_state_folder(root: Path, existing: Path) -> Requirement:
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return Requirement("folder", "ok", str(root))
    return Requirement(
        "folder", "error", f"{existing} can't be written to", "Set XDG_STATE_HOME to a folder you can write to."
    )


def _check_disk(existing: Path) -> Requirement:
    free = shutil.disk_usage(existing).free
    enough = free >= _MIN_FREE_BYTES
    found = f"{free / 1024**3:.1f} GiB free"
    return Requirement(
        "disk", "ok" if enough else "warning", found, "" if enough else "Free disk space for logs and artifacts."
    )


def _check_loopback() -> Requirement:
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
    except OSError as error:
        return Requirement(
            "loopback", "error", f"127.0.0.1 can't be listened on: {error}", "Allow programs to listen on 127.0.0.1."
        )
    return Requirement("loopback", "ok", "127.0.0.1 can be listened on")


def _check_shell() -> Requirement:
    found = shutil.which("sh")
    if found is None:
        return Requirement(
            "sh", "error", "there is no `sh` on PATH", "Install a shell; steps run their commands with it."
        )
    return Requirement("sh", "ok", found)
