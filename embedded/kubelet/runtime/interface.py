"""What the kubelet asks of whatever runs its containers, modelled on the Container Runtime Interface of Kubernetes.

When which container runs, restarts and ends is the kubelet's part, the same with every runtime. Nothing here knows of
processes or engines.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from embedded.api.interfaces import ExecOptions, ExecSession
from embedded.kubelet.config.mounts import Mount
from embedded.kubelet.runtime.dial import Connection

Json = dict[str, Any]

_NOT_STARTED = 128


class StartError(Exception):
    """A command can't be started; the message names the command and the reason.

    `exit_code` is 127 for a command that does not exist, and 128 for one that can't be started.
    """

    def __init__(self, message: str, exit_code: int = _NOT_STARTED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class PodSandbox:
    """A pod, as its runtime needs to know it."""

    pod: Json
    folder: Path
    """The pod's own folder: volumes, logs, termination messages."""

    @property
    def uid(self) -> str:
        return str(self.pod["metadata"]["uid"])


@dataclass(frozen=True)
class Launch:
    """One start of a container."""

    spec: Json
    restarts: int
    """How often it was started before."""
    variables: Mapping[str, str]
    """Those of its spec, resolved."""
    mounts: tuple[Mount, ...]

    @property
    def name(self) -> str:
        return str(self.spec["name"])


@dataclass(frozen=True)
class Image:
    """An image that is there."""

    id: str
    """As in a container's status."""
    size: int
    """Bytes."""


@dataclass(frozen=True)
class ContainerExit:
    """How a container has ended."""

    code: int
    """The exit code of its first process; 128 + signal number if it was killed."""
    out_of_memory: bool = False
    """Whether the kernel killed it because it reached its memory limit."""


@dataclass(frozen=True)
class Usage:
    """What a container has used."""

    cpu_seconds: float
    """Processor time since its start."""
    memory: int
    """Bytes now, without what the kernel can take back at once where that is known."""


class ImageError(Exception):
    """An image can't be used; `reason` is that of the waiting container, and the message the kubelet's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class SandboxError(Exception):
    """What belongs to a pod as a whole can't be made; it is tried again."""


class RuntimeContainer(Protocol):
    """A container that was created: not started, running or ended."""

    id: str
    """As in a container's status: the runtime's name, `://` and its identifier."""

    image_id: str
    """The image it was made of; empty where images are not used."""

    @property
    def address(self) -> str:
        """The address of its pod, as its kubelet knows it."""
        ...

    async def start(self, sink: Callable[[bytes], None]) -> None:
        """Start it. `sink` gets what it writes to stdout and stderr, in the order of arrival.

        Raises:
            StartError: its command can't be started.
        """
        ...

    async def wait(self) -> ContainerExit:
        """Wait until it has ended, everything it wrote is in the sink, and no process of it is left.

        It is killed if this is cancelled. Sessions of `exec` are killed with it.
        """
        ...

    def terminate(self) -> None:
        """Send its stop signal (SIGTERM) to its first process; nothing if it has ended."""
        ...

    def kill(self) -> None:
        """Send SIGKILL to all its processes; nothing if it has ended."""
        ...

    async def exec(self, options: ExecOptions) -> ExecSession:
        """Start another command in it.

        Raises:
            StartError: it can't be started.
        """
        ...

    async def run(self, argv: list[str], keep: int) -> tuple[int, bytes]:
        """Run another command in it until that has ended; it is killed if this is cancelled.

        Args:
            keep: bytes of its output that are returned.

        Returns:
            Its exit code and the beginning of its output.

        Raises:
            StartError: it can't be started.
        """
        ...

    def connect(self, port: int) -> AbstractAsyncContextManager[Connection]:
        """A connection to a port of its pod, as the kubelet of its node has it; closed at the end.

        Raises:
            OSError: there is none; the message is a kubelet's.
            OverflowError: there is no such port.
        """
        ...

    async def usage(self) -> Usage | None:
        """What it uses; None if it does not run, or that can't be measured here."""
        ...

    def termination_message(self) -> bytes:
        """What an ended container left in the file of its spec's `terminationMessagePath`, cut to 4096 bytes."""
        ...

    async def remove(self) -> None:
        """Remove what is left of it after its end, except for its log."""
        ...


class PodRuntime(Protocol):
    """The containers of one pod."""

    @property
    def address(self) -> str:
        """The pod's IP address; the loopback address where pods share the machine's network, empty while unknown."""
        ...

    def needs_image(self, container: Json) -> bool:
        """Whether a container, by its spec, can be created only once its image is there."""
        ...

    async def find_image(self, image: str) -> Image | None:
        """An image that is there; None if it is not.

        Raises:
            ImageError: its name is invalid, or it can't be found out.
        """
        ...

    async def pull_image(self, image: str, secrets: list[Json]) -> Image:
        """Pull an image from its registry.

        Args:
            secrets: Secrets of the pod that may have a login for the registry.

        Raises:
            ImageError: it can't be pulled.
        """
        ...

    async def prepare(self) -> None:
        """Make what belongs to the pod as a whole, before its first container.

        Raises:
            SandboxError: it can't be made; it is tried again.
        """
        ...

    async def create(self, launch: Launch) -> RuntimeContainer:
        """Create a container, ready to be started.

        Raises:
            ConfigError: it can't be created with its spec as it is now; it is tried again.
            StartError: it can't be created.
            OSError: a file can't be written.
        """
        ...

    async def close(self) -> None:
        """Remove what belongs to the pod as a whole; all its containers have ended."""
        ...


class Runtime(Protocol):
    """What runs the containers of all pods."""

    @property
    def version(self) -> str:
        """As in a Node's `containerRuntimeVersion`; known from `open` on."""
        ...

    @property
    def uses_images(self) -> bool:
        """Whether containers run in their images."""
        ...

    @property
    def enforces_limits(self) -> bool:
        """Whether memory and CPU limits have an effect."""
        ...

    @property
    def limits_reason(self) -> str:
        """Why they have one, or not, for the user."""
        ...

    @property
    def capacity(self) -> Mapping[str, Decimal]:
        """What the Node has: `cpu` in cores, `memory` in bytes."""
        ...

    async def open(self) -> None:
        """Get ready for pods; called once, before everything else.

        Raises:
            RuntimeUnavailableError: it can't be used.
        """
        ...

    async def close(self) -> None:
        """Give everything back; no pod is left."""
        ...

    def pod(self, sandbox: PodSandbox) -> PodRuntime: ...

    async def kill_leftovers(self, uids: Collection[str]) -> int:
        """End what an earlier kubelet on the same data left running; returns how much that was.

        Args:
            uids: of the pods that have a folder.
        """
        ...

    async def take_over(self, folder: Path) -> None:
        """Make what containers have left in a folder readable and removable for this process."""
        ...

    def collect(self) -> None:
        """Called every few seconds while pods run: free what their ended processes occupy."""
        ...

    def unsupported_reason(self, container: Json) -> tuple[str, str] | None:
        """(reason, message) why a container can never run here; None if it can."""
        ...
