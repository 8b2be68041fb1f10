"""Run changes as server-sent events: every change once and in order, resumed with Last-Event-ID, never
silently missed.
"""

import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from controller.api.http.problems import ApiProblem
from controller.api.serializers import run_view
from controller.api.streaming.watch_cache import History, version_of

CATCH_UP_SECONDS = 5.0


class StillAdmitted(Protocol):
    """Asks whether the reader may still read; a long stream outlives many a right."""

    async def __call__(self) -> bool: ...


@dataclass(frozen=True)
class Wanted:
    """What one reader watches: a namespace, perhaps one run in it, from a version on (None: from the present state)."""

    namespace: str
    run: str | None
    since: int | None

    def takes(self, namespace: str, name: str) -> bool:
        """Whether the reader wants changes of this run."""
        return namespace == self.namespace and self.run in (None, name)


def starting_point(last_event_id: str | None, resource_version: str | None) -> int | None:
    """Where a reader wants to begin; what the browser remembers wins over what the address says."""
    text = last_event_id or resource_version
    if not text:
        return None
    version = version_of(text)
    if version is None:
        raise ApiProblem("bad-request", "Last-Event-ID and resourceVersion are numbers that this API gave")
    return version


@dataclass
class Guard:
    """Asks every `seconds` whether a reader still may read, busy stream or not; `now` is a monotonic clock."""

    still_admitted: StillAdmitted
    seconds: float
    now: Callable[[], float] = time.monotonic
    _next: float = 0.0

    def __post_init__(self) -> None:
        self._next = self.now() + self.seconds

    @property
    def left(self) -> float:
        """Seconds until the next question."""
        return max(0.0, self._next - self.now())

    async def passes(self) -> bool:
        """Whether the reader may go on; asks only when it is time to."""
        if self.left > 0:
            return True
        admitted = await self.still_admitted()
        self._next = self.now() + self.seconds
        return admitted


async def events(
    history: History, wanted: Wanted, present: Callable[[], Iterable[Mapping[str, Any]]], guard: Guard
) -> AsyncIterator[bytes]:
    """The stream's bytes. `present` gives the cached runs; the stream ends with the history or with the right.

    What the guard's rhythm brings besides the question is a sign of life: a bookmark, or a comment.
    """
    position = None
    if wanted.since is None:
        # No await between these lines: the state and the position belong to the same moment.
        state = [run for run in present() if wanted.takes(run["metadata"]["namespace"], run["metadata"]["name"])]
        position, told = history.end, history.latest
        for run in state:
            yield event("added", json.dumps(run_view(run, definition=False), separators=(",", ":")).encode(), None)
        yield bookmark(told)
    else:
        told = wanted.since
        if await history.reached(wanted.since, CATCH_UP_SECONDS):
            position = history.position_after(wanted.since)
        yield b": here\n\n"
    while position is not None and not (history.closed and history.end == position):
        changes = history.read(position)
        if changes is None:
            position = None
            break
        for change in changes:
            if wanted.takes(change.namespace, change.name):
                yield event(change.kind, change.data, change.version)
                told = change.version if change.version is not None else told
        position += len(changes)
        due = guard.left == 0 if changes else not await history.changed(position, guard.left)
        if not await guard.passes():
            return
        if due and history.latest > told and history.end == position:
            told = history.latest
            yield bookmark(told)
        elif due:
            yield b": heartbeat\n\n"
    if position is None:
        yield restart()


def event(kind: str, data: bytes, version: int | None) -> bytes:
    """One event; without a version the reader's last id stays.

    JSON text has no line breaks in it, so one data line does.
    """
    head = b"" if version is None else b"id: %d\n" % version
    return head + b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def bookmark(version: int) -> bytes:
    """Moves the reader's last id on when nothing of theirs has changed."""
    return event("bookmark", b'{"resourceVersion":"%d"}' % version, version)


def restart() -> bytes:
    """The reader's id is too old: list again, then watch from that list.

    The empty id makes a browser forget the old one.
    """
    why = b'{"why":"the changes since this id are no longer kept; list the runs again"}'
    return b"id:\nevent: restart\ndata: " + why + b"\n\n"
