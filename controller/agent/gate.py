"""The gate that the container of a step waits at, and what its first process reports: two named pipes in a volume.

The container of the step mounts the volume read-only: it can use the pipes and change nothing else there. What it
writes into them is taken for its own word: a step that forges it spoils its own attempt. Files beside the pipes tell
an agent that is started again how far the one before it came.
"""

# ruff: noqa: PTH118, PTH123
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import os
import stat
import time

from .errors import UsageError

_GATE, _REPORTS = "gate", "report"
_ANY_USER = 0o666
"""The user of the step is unknown, and need not be that of the agent."""
_MAX_LINE_BYTES = 256
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HOLDS = ("before", "after", "failed")


def now() -> str:
    """The time as RFC 3339 with microseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds // 1000:06d}Z"


class Gate:
    """Both pipes, held open from both ends, so that neither side ever waits for the other to open them."""

    def __init__(self, folder: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self.clock = clock
        """Seconds on a monotonic clock."""
        self._gate = _open_pipe(os.path.join(folder, _GATE))
        self.reports = _open_pipe(os.path.join(folder, _REPORTS))
        """The file descriptor that is readable when the step has reported something."""
        self._rest = b""
        self.began, self.ended = self._recall("began"), self._recall("ended")
        """When the commands began and ended; None before."""
        self._code = self._recall("code")
        self.held = self._recall("held") or None
        """Where the step is held: `before` or `after` its commands, or when they have `failed`; None if it is not."""
        self.held_since = self.clock()
        self.held_code: str | None = None
        """The exit code that it is held after."""

    def close(self) -> None:
        """Close both pipes; the step goes on."""
        os.close(self._gate)
        os.close(self.reports)

    @property
    def was_opened(self) -> bool:
        """Whether it was opened, by this agent or the one before it."""
        return self._recall("opened") is not None

    @property
    def refusal(self) -> str | None:
        """Why the step must not begin; None if nothing is known against it."""
        return self._recall("refused")

    def begin(self, part: str) -> bool:
        """Note that a part of what the step needs is being fetched; False if an earlier agent had begun that."""
        first = self._recall(f"fetching-{part}") is None
        self._remember(f"fetching-{part}", now())
        return first

    def has(self, part: str) -> bool:
        """Whether that part was fetched."""
        return self._recall(f"fetched-{part}") is not None

    def finish(self, part: str) -> None:
        """Note that that part is fetched."""
        self._remember(f"fetched-{part}", now())

    def set_holds(self, holds: list[str]) -> None:
        """Let the step be held at these points. Its entry script looks for the files of the last two."""
        for at in HOLDS:
            if at in holds:
                self._remember(f"hold-{at}", now())

    def holds_before(self) -> bool:
        """Whether the step is to be held before its commands."""
        return self._recall("hold-before") is not None

    def hold(self, at: str) -> None:
        """Note that the step is held."""
        self.held, self.held_since = at, self.clock()
        self._remember("held", at)

    def release(self, action: str) -> bool:
        """Let a held step go on: `go`, `retry` or `accept`. False if it is not held, or not so that this is possible.

        Another process of the agent may have noted the hold.
        """
        at = self._recall("held")
        if not at or (at == "before" and action != "go"):
            return False
        try:
            # The first reader releases it: another line would be taken for the answer to the next hold.
            os.rename(os.path.join(self._folder, "held"), os.path.join(self._folder, "released"))  # noqa: PTH104
        except FileNotFoundError:
            return False
        if at == "before":
            self.open()
        else:
            os.write(self._gate, f"{action}\n".encode())
        return True

    @property
    def has_fetched(self) -> bool:
        """Whether everything was fetched, by this agent or the one before it."""
        return self._recall("fetched") is not None

    def finish_fetching(self) -> None:
        """Note that everything is fetched: services may start."""
        self._remember("fetched", now())

    def open(self) -> None:
        """Let the step begin."""
        self._remember("opened", now())
        os.write(self._gate, b"open\n")

    def refuse(self, reason: str) -> None:
        """Let the step end without beginning."""
        self._remember("refused", reason)
        os.write(self._gate, b"refused\n")

    def read_reports(self) -> None:
        """Take in what the step has reported: the first begin, those after a hold, and the first end count."""
        try:
            data = self._rest + os.read(self.reports, 64 * 1024)
        except BlockingIOError:
            return
        *lines, rest = data.split(b"\n")
        self._rest = rest[:_MAX_LINE_BYTES]
        for line in lines:
            self._take(line)

    def exit_code(self) -> str | None:
        """The exit code of the commands, in digits; "" if they have not reported one, None if they never began."""
        if self.began is None:
            return None
        return self._code or ""

    def _take(self, line: bytes) -> None:
        word, _, code = line.partition(b" ")
        is_code = code.isdigit() and len(code) <= 3
        if word == b"begin" and (self.began is None or self.held is not None):
            self.began, self.held = now(), None
            self._remember("began", self.began)
        elif word == b"held" and is_code and self.began is not None and self.ended is None:
            self.held_code = code.decode("ascii")
            self.hold("after" if int(code) == 0 else "failed")
        elif word == b"end" and is_code and self.began is not None and self.ended is None:
            self.ended, self._code, self.held = now(), code.decode("ascii"), None
            self._remember("code", self._code)
            self._remember("ended", self.ended)

    def _remember(self, name: str, text: str) -> None:
        path = os.path.join(self._folder, name)
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{path}.new", path)  # noqa: PTH105

    def _recall(self, name: str) -> str | None:
        try:
            with open(os.path.join(self._folder, name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None


def _open_pipe(path: str) -> int:
    """The file descriptor of a named pipe, which is created if there is none. Raises UsageError."""
    try:
        try:
            os.mkfifo(path)
        except FileExistsError:
            pass
        else:
            # Not by the mode of mkfifo, which the umask reduces.
            os.chmod(path, _ANY_USER)  # noqa: PTH101
        # For reading and writing: this never waits for the other side.
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"the named pipe {path} can't be made: {error.strerror}") from None
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        raise UsageError(f"{path} is not a named pipe")
    return descriptor
