"""The ways to a first sandbox. Each says what it needs and whether that is there, and brings one up."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from workbench.session.startup_progress import Event, Told

if TYPE_CHECKING:
    from workbench.sandbox import Endpoint

Level = Literal["ok", "warning", "error"]
_LEAST_FREE = 200 * 1024 * 1024


@dataclass(frozen=True)
class Need:
    """Something a way needs, and what was found of it."""

    name: str
    level: Level
    found: str
    remedy: str = ""


class StartError(Exception):
    """It could not be brought up; `remedy` says what to do."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.remedy = remedy


class Way(Protocol):
    """A kind of sandbox."""

    @property
    def title(self) -> str: ...
    @property
    def about(self) -> str: ...

    async def needs(self) -> Sequence[Need]: ...

    def steps(self) -> Sequence[tuple[str, str]]:
        """Name and title of what will be done."""
        ...

    async def bring_up(self, on_event: Callable[[Event], None]) -> Endpoint:
        """Do what is not done yet; may be cancelled and called again. Raises StartError."""
        ...


@dataclass(frozen=True)
class Embedded:
    """Two processes on this machine."""

    name: str
    title: str = "Embedded: two processes on this machine"
    about: str = (
        "A small cluster and the controller, on 127.0.0.1 only, ready in a second. Steps run as you, "
        "without isolation, and their images are ignored. It runs until `c8s down`."
    )

    async def needs(self) -> Sequence[Need]:
        return await asyncio.to_thread(_look)

    def steps(self) -> Sequence[tuple[str, str]]:
        return [("sandbox", f"Start the sandbox {self.name}")]

    async def bring_up(self, on_event: Callable[[Event], None]) -> Endpoint:
        from workbench.client.endpoint import SandboxError
        from workbench.sandbox import Sandboxes

        begun = time.monotonic()

        def tell(kind: str, text: str) -> None:
            on_event(Told("sandbox", kind, text, time.monotonic() - begun))

        tell("started", "two processes")
        try:
            endpoint = await Sandboxes().up(self.name, lambda text: tell("said", text))
        except (SandboxError, OSError) as error:
            tell("failed", str(error))
            raise StartError(
                str(error), f"`c8s down --name {self.name}` clears what is left; try again then"
            ) from error
        tell("done", endpoint.url)
        return endpoint


@dataclass(frozen=True)
class Kind:
    """A cluster of its own in Docker."""

    name: str
    title: str = "kind: a real Kubernetes in Docker"
    about: str = (
        "A cluster of its own with an object store; steps run in their images, isolated from this machine. It takes "
        "some minutes the first time. What is done already is not done again."
    )

    async def needs(self) -> Sequence[Need]:
        from kind.doctor import examine

        return [Need(each.check, each.level, each.found, each.remedy) for each in await examine()]

    def steps(self) -> Sequence[tuple[str, str]]:
        from kind.bootstrap import Bootstrap
        from workbench.sandbox import kind_sandbox

        return [(step.name, step.title) for step in Bootstrap(kind_sandbox.options_for(self.name)).steps()]

    async def bring_up(self, on_event: Callable[[Event], None]) -> Endpoint:
        from kind.errors import KindError
        from workbench.client.endpoint import SandboxError
        from workbench.config.contexts import ContextError
        from workbench.sandbox import kind_sandbox

        try:
            return await kind_sandbox.up(kind_sandbox.options_for(self.name), on_event)
        except KindError as error:
            raise StartError(error.what, error.remedy) from error
        except (SandboxError, ContextError, OSError) as error:
            raise StartError(str(error)) from error


def _look() -> list[Need]:
    """What the embedded sandbox needs of this machine."""
    from workbench.sandbox.paths import state_root

    root = state_root()
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    return [_folder(root, there), _room(there), _port(), _shell()]


def _folder(root: Path, there: Path) -> Need:
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return Need("folder", "ok", str(root))
    return Need("folder", "error", f"{there} can't be written to", "Set XDG_STATE_HOME to a folder of yours.")


def _room(there: Path) -> Need:
    free = shutil.disk_usage(there).free
    enough = free >= _LEAST_FREE
    found = f"{free / 1024**3:.1f} GiB free"
    return Need("disk", "ok" if enough else "warning", found, "" if enough else "Make room for logs and artifacts.")


def _port() -> Need:
    try:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
    except OSError as error:
        return Need("loopback", "error", f"127.0.0.1 can't be listened on: {error}", "Allow programs to listen there.")
    return Need("loopback", "ok", "127.0.0.1 can be listened on")


def _shell() -> Need:
    found = shutil.which("sh")
    if found is None:
        return Need("sh", "error", "there is no `sh` on PATH", "Steps run their commands with it; install one.")
    return Need("sh", "ok", found)
