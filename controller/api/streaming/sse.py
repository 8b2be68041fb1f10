"""Changes of runs as server-sent events: each once and in order, resumed by Last-Event-ID, never silently lost."""

import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.api.auth.authorize import Reauthorize
from controller.api.http.problems import ApiProblemError
from controller.api.serializers import serialize_run
from controller.api.streaming.watch_cache import WatchCache, parse_version

CATCH_UP_TIMEOUT = 5.0


@dataclass(frozen=True)
class WatchFilter:
    """What one reader watches: a namespace or one run in it, from a version on (None: from the current state)."""

    namespace: str
    run: str | None
    since: int | None

    def matches(self, namespace: str, name: str) -> bool:
        """Whether the reader watches this run."""
        return namespace == self.namespace and self.run in (None, name)


def resume_version(last_event_id: str | None, resource_version: str | None) -> int | None:
    """The version to resume from; Last-Event-ID takes precedence over the query."""
    text = last_event_id or resource_version
    if not text:
        return None
    version = parse_version(text)
    if version is None:
        raise ApiProblemError("bad-request", "Last-Event-ID and resourceVersion must be numbers from this API")
    return version


@dataclass
class ReauthorizationTimer:
    """Authorizes a reader again every `seconds`, whether or not the stream is busy; `now` is a monotonic clock."""

    reauthorize: Reauthorize
    seconds: float
    now: Callable[[], float] = time.monotonic
    _next: float = 0.0

    def __post_init__(self) -> None:
        self._next = self.now() + self.seconds

    @property
    def remaining(self) -> float:
        """Seconds until the next authorization."""
        return max(0.0, self._next - self.now())

    async def is_authorized(self) -> bool:
        """Whether the reader is still authorized; asks only when it is due."""
        if self.remaining > 0:
            return True
        admitted = await self.reauthorize()
        self._next = self.now() + self.seconds
        return admitted


async def event_stream(
    watch_cache: WatchCache,
    watch_filter: WatchFilter,
    present: Callable[[], Iterable[Mapping[str, Any]]],
    timer: ReauthorizationTimer,
) -> AsyncIterator[bytes]:
    """The bytes of the stream. `present` returns the cached runs. Ends with the cache or with the permission.

    Each time authorization is due, a bookmark or a comment shows that the stream is alive.
    """
    position = None
    if watch_filter.since is None:
        # No await between these lines: state and position belong to the same moment.
        state = [
            run for run in present() if watch_filter.matches(run["metadata"]["namespace"], run["metadata"]["name"])
        ]
        position, sent_version = watch_cache.end, watch_cache.latest
        for run in state:
            yield format_event(
                "added", json.dumps(serialize_run(run, definition=False), separators=(",", ":")).encode(), None
            )
        yield bookmark(sent_version)
    else:
        sent_version = watch_filter.since
        if await watch_cache.wait_for_version(watch_filter.since, CATCH_UP_TIMEOUT):
            position = watch_cache.cursor_after(watch_filter.since)
        yield b": here\n\n"
    while position is not None and not (watch_cache.closed and watch_cache.end == position):
        changes = watch_cache.read(position)
        if changes is None:
            position = None
            break
        for change in changes:
            if watch_filter.matches(change.namespace, change.name):
                yield format_event(change.kind, change.data, change.version)
                sent_version = change.version if change.version is not None else sent_version
        position += len(changes)
        due = timer.remaining == 0 if changes else not await watch_cache.wait_for_change(position, timer.remaining)
        if not await timer.is_authorized():
            return
        if due and watch_cache.latest > sent_version and watch_cache.end == position:
            sent_version = watch_cache.latest
            yield bookmark(sent_version)
        elif due:
            yield b": heartbeat\n\n"
    if position is None:
        yield restart()


def format_event(kind: str, data: bytes, version: int | None) -> bytes:
    """One event; without a version, the reader's last id stays.

    JSON text has no line breaks, so one data line is enough.
    """
    head = b"" if version is None else b"id: %d\n" % version
    return head + b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def bookmark(version: int) -> bytes:
    """Advances the reader's last id when none of its runs has changed."""
    return format_event("bookmark", b'{"resourceVersion":"%d"}' % version, version)


def restart() -> bytes:
    """The reader's id is too old: it must list again, then watch from that list.

    The empty id makes a browser forget the old one.
    """
    why = b'{"why":"the changes since this id are no longer kept; list the runs again"}'
    return b"id:\nevent: restart\ndata: " + why + b"\n\n"
