"""The hub of live logs: the collector publishes to it, readers subscribe to it.

Readers pull: a subscription only says which streams have something new, and each reader takes it from the ring buffer
at its own pace. A slow reader therefore delays no one: it learns which lines it missed.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from controller.logs.live.ring_buffer import MAX_STREAM_BYTES, RingBuffer
from controller.logs.model import Block, CommandStart, PartialLine, Stream

MAX_TOTAL_BYTES = 64 * 1024 * 1024


@dataclass(eq=False)
class LiveLog:
    """A stream that is being followed, or was until recently.

    `chunks` are what the archive has of it so far, `commands` the commands that have started; `ended` says that no line
    will follow, `archived` that the store has all of it. `partial` is the line that is being written, if it has a state
    to show.
    """

    stream: Stream
    ring: RingBuffer
    chunks: "list[ChunkRef]" = field(default_factory=list)
    ended: bool = False
    archived: bool = False
    commands: "list[CommandStart]" = field(default_factory=list)
    partial: PartialLine | None = None


@dataclass(frozen=True)
class ChunkRef:
    """A chunk in the store: its key, its first line, the number after its last line, and its bytes of output."""

    key: str
    first: int
    end: int
    size: int


class Subscription:
    """One reader's subscription to a run. `changed` is set when a stream has something new; `take` says which."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._streams: set[Stream] = set()

    def notify(self, stream: Stream) -> None:
        """Marks a stream as changed."""
        self._streams.add(stream)
        self.changed.set()

    def take(self) -> set[Stream]:
        """The streams that changed since the last call."""
        taken, self._streams = self._streams, set()
        self.changed.clear()
        return taken


class LiveLogs(Protocol):
    """What readers need of a hub, be it the collector's or a mirror of it in another process."""

    def get(self, stream: Stream) -> LiveLog | None:
        """The live log of a stream, if it is known here."""
        ...

    def logs(self, namespace: str, run_uid: str) -> list[LiveLog]:
        """The run's live logs, in the order they began."""
        ...

    def subscribe(self, namespace: str, run_uid: str) -> tuple[Subscription, Callable[[], None]]:
        """A subscription to all streams of a run, also future ones, and the function that ends it."""
        ...

    async def wait_for_sync(self, namespace: str, run_uid: str) -> None:
        """Returns once the hub knows the run's streams, or after a time limit."""
        ...


class LogHub:
    """The live logs of this process, by run. `total_bytes` limits all ring buffers together."""

    def __init__(self, stream_bytes: int = MAX_STREAM_BYTES, total_bytes: int = MAX_TOTAL_BYTES) -> None:
        self._stream_bytes = stream_bytes
        self._total_bytes = total_bytes
        self._size = 0
        self._logs: dict[tuple[str, str], dict[Stream, LiveLog]] = {}
        self._subscriptions: dict[tuple[str, str], set[Subscription]] = {}

    @property
    def subscribers(self) -> int:
        """The number of readers."""
        return sum(len(each) for each in self._subscriptions.values())

    @property
    def size(self) -> int:
        """The bytes in all ring buffers."""
        return self._size

    def has_readers(self, namespace: str, run_uid: str) -> bool:
        """Whether anybody reads the live logs of a run."""
        return bool(self._subscriptions.get((namespace, run_uid)))

    def open(
        self, stream: Stream, first: int, chunks: "list[ChunkRef]", commands: Iterable[CommandStart] = ()
    ) -> LiveLog:
        """Opens a stream whose next line has the number `first`; older lines are in the chunks."""
        log = LiveLog(stream, RingBuffer(first, self._stream_bytes), chunks, commands=list(commands))
        logs = self._logs.setdefault((stream.namespace, stream.run_uid), {})
        if stream in logs:
            self._size -= logs[stream].ring.size
        logs[stream] = log
        self._notify(stream)
        return log

    def get(self, stream: Stream) -> LiveLog | None:
        """The live log of a stream, if it is known here."""
        return self._logs.get((stream.namespace, stream.run_uid), {}).get(stream)

    def logs(self, namespace: str, run_uid: str) -> list[LiveLog]:
        """The run's live logs, in the order they began."""
        return list(self._logs.get((namespace, run_uid), {}).values())

    def publish(self, log: LiveLog, block: Block) -> None:
        """Appends new lines."""
        before = log.ring.size
        log.partial = None
        log.ring.append(block)
        self._size += log.ring.size - before
        if self._size > self._total_bytes:
            self._enforce_limit()
        self._notify(log.stream)

    def set_partial(self, log: LiveLog, partial: PartialLine) -> None:
        """Replaces the state of the line that is being written; one of a line that is complete is dropped."""
        if partial != log.partial and partial.number == log.ring.end and not log.ended:
            log.partial = partial
            self._notify(log.stream)

    def add_commands(self, log: LiveLog, commands: Iterable[CommandStart]) -> None:
        """Adds commands that have started; one that is known already is not added again."""
        latest = log.commands[-1].command if log.commands else -1
        new = [command for command in commands if command.command > latest]
        if new:
            log.commands.extend(new)
            self._notify(log.stream)

    def mark_ended(self, log: LiveLog) -> None:
        """Marks that no line will follow."""
        log.ended = True
        log.partial = None
        self._notify(log.stream)

    def mark_archived(self, log: LiveLog) -> None:
        """Marks that the store has all of it; the ring buffer stays for current readers while there is room."""
        log.ended = log.archived = True
        log.chunks = []
        log.partial = None
        self._notify(log.stream)

    def forget(self, namespace: str, run_uid: str) -> None:
        """Drops a run from memory."""
        for log in self._logs.pop((namespace, run_uid), {}).values():
            self._size -= log.ring.size
            log.ended = True
        for each in self._subscriptions.get((namespace, run_uid), ()):
            each.changed.set()

    async def wait_for_sync(self, namespace: str, run_uid: str) -> None:
        """Returns at once: this hub is the source."""

    def subscribe(self, namespace: str, run_uid: str) -> tuple[Subscription, Callable[[], None]]:
        """A subscription to all streams of a run, also future ones, and the function that ends it."""
        subscription = Subscription()
        readers = self._subscriptions.setdefault((namespace, run_uid), set())
        readers.add(subscription)

        def leave() -> None:
            readers.discard(subscription)
            if not readers and self._subscriptions.get((namespace, run_uid)) is readers:
                del self._subscriptions[(namespace, run_uid)]

        return subscription, leave

    def _notify(self, stream: Stream) -> None:
        for each in self._subscriptions.get((stream.namespace, stream.run_uid), ()):
            each.notify(stream)

    def _enforce_limit(self) -> None:
        """Frees memory: archived logs drop their ring buffers, then the largest ones drop their older half."""
        logs = [log for run in self._logs.values() for log in run.values() if log.ring.size]
        for log in logs:
            if log.archived:
                self._size -= log.ring.size
                log.ring = RingBuffer(log.ring.end, self._stream_bytes)
        while self._size > self._total_bytes * 3 // 4:
            largest = max((log.ring for log in logs), key=lambda ring: ring.size)
            before = largest.size
            largest.halve()
            if largest.size == before:
                return
            self._size -= before - largest.size
