"""The hub of an API whose operator is elsewhere: the leader's, copied run by run while somebody watches.

Readers use it like any hub, and are told the same lines under the same numbers. One stream from the leader serves all
viewers of a run. While no leader can be reached there are the chunks in the store, looked at again and again.
"""

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp

from controller.log_relay.auth import PROOF_HEADER, sign_request, sign_response
from controller.log_relay.chunk_fallback import archived_line_count, read_stored_chunks
from controller.log_relay.errors import LogRelayError, NoLeaderError
from controller.log_relay.protocol import Decoder, Message, SnapshotEnd, StreamArchived, StreamOpened
from controller.log_relay.replica import HubReplica
from controller.log_relay.server import LIVE_PATH
from controller.logs.errors import LogError
from controller.logs.live.hub import LiveLog, LogHub, Subscription
from controller.logs.model import Stream
from controller.storage import ObjectStore, StorageError

IDLE_SECONDS = 10.0
SYNC_TIMEOUT = 3.0
CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 5.0
MIN_RETRY_DELAY = 0.1
MAX_RETRY_DELAY = 2.0
EVICTION_INTERVAL = 1.0

Run = tuple[str, str]
logger = logging.getLogger("c8s.live")


@dataclass(eq=False)
class _MirroredRun:
    """A run that somebody reads, or did until `since` (monotonic seconds). `known` is set when there was an answer."""

    readers: int = 0
    last_used: float = 0.0
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class LogMirror:
    """A hub for readers. `find_leader` gives the leader's address or raises LiveError; `key` is that of proof.py."""

    def __init__(
        self,
        store: ObjectStore,
        find_leader: Callable[[], Awaitable[str]],
        key: bytes,
        *,
        hub: LogHub | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        new_nonce: Callable[[], str] = lambda: secrets.token_hex(16),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._find_leader = find_leader
        self._key = key
        self._hub = hub or LogHub()
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._new_nonce = new_nonce
        self._sleep = sleep
        self._mirrored: dict[Run, _MirroredRun] = {}
        self._group: asyncio.TaskGroup | None = None
        self._session: aiohttp.ClientSession | None = None

    # -- what readers see

    def get(self, stream: Stream) -> LiveLog | None:
        """See LiveLogs."""
        return self._hub.get(stream)

    def logs(self, namespace: str, run: str) -> list[LiveLog]:
        """See LiveLogs."""
        return self._hub.logs(namespace, run)

    def subscribe(self, namespace: str, run: str) -> tuple[Subscription, Callable[[], None]]:
        """See LiveLogs. The run is mirrored for as long as there is a subscription, and a little longer."""
        subscription, leave = self._hub.subscribe(namespace, run)
        watched = self._ensure_mirrored((namespace, run))
        watched.readers += 1

        def leave_both() -> None:
            leave()
            watched.readers -= 1
            watched.last_used = self._monotonic()

        return subscription, leave_both

    async def wait_for_sync(self, namespace: str, run: str) -> None:
        """See LiveLogs: returns after the leader's first word about the run, or a look into the store instead."""
        watched = self._ensure_mirrored((namespace, run))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SYNC_TIMEOUT):
                await watched.synced.wait()

    # -- the work

    async def run(self) -> None:
        """Mirrors what is watched, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session,
            asyncio.TaskGroup() as group,
        ):
            self._session, self._group = session, group
            try:
                for run, watched in self._mirrored.items():
                    watched.task = group.create_task(self._mirror(run, watched))
                while True:
                    await self._sleep(EVICTION_INTERVAL)
                    self._evict_idle()
            finally:
                self._session = self._group = None

    def _ensure_mirrored(self, run: Run) -> _MirroredRun:
        watched = self._mirrored.get(run)
        if watched is None:
            watched = self._mirrored[run] = _MirroredRun()
            if self._group is not None:
                watched.task = self._group.create_task(self._mirror(run, watched), name=f"live {run[0]}/{run[1]}")
        watched.last_used = self._monotonic()
        return watched

    def _evict_idle(self) -> None:
        """Drops the runs that nobody has read for a while."""
        now = self._monotonic()
        for run, watched in list(self._mirrored.items()):
            if not watched.readers and now - watched.last_used >= IDLE_SECONDS:
                del self._mirrored[run]
                if watched.task is not None:
                    watched.task.cancel()
                self._hub.forget(*run)

    async def _mirror(self, run: Run, watched: _MirroredRun) -> None:
        """One run, from leader to leader."""
        told = ""
        wait = MIN_RETRY_DELAY
        while True:
            replica = HubReplica(self._hub, *run)
            try:
                async for message in self._messages(run, replica):
                    replica.apply(message)
                    told, wait = "", MIN_RETRY_DELAY
                    if isinstance(message, SnapshotEnd):
                        await self._mark_archived(replica.unconfirmed(), replica)
                        watched.synced.set()
            except (LogRelayError, aiohttp.ClientError, TimeoutError, OSError, StorageError, LogError) as problem:
                words = str(problem) or type(problem).__name__
                if words != told:
                    logger.info("live logs of %s/%s are read from the store: %s", *run, words)
                told = words
            except Exception:
                # A fault of ours must not end the other runs' streams; the store still has the lines.
                logger.exception("mirroring the logs of %s/%s failed; it is begun again", *run)
            await self._read_store(run)
            watched.synced.set()
            await self._sleep(wait)
            wait = min(MAX_RETRY_DELAY, wait * 2)

    async def _messages(self, run: Run, replica: HubReplica) -> AsyncGenerator[Message, None]:
        """What the leader tells, until it stops."""
        assert self._session is not None
        address = await self._find_leader()
        have = [[each.slug, each.attempt, each.container, number] for each, number in replica.cursors().items()]
        body = json.dumps({"namespace": run[0], "run": run[1], "have": have}).encode()
        nonce = self._new_nonce()
        headers = {"Authorization": sign_request(self._key, address, body, now=self._wall_clock(), nonce=nonce)}
        decoder = Decoder(*run)
        url = address + LIVE_PATH
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                raise NoLeaderError(f"{address} answers {response.status} to a request for live logs")
            if not secrets.compare_digest(response.headers.get(PROOF_HEADER, ""), sign_response(self._key, nonce)):
                raise NoLeaderError(f"who answers at {address} is no operator of this installation")
            async for piece in response.content.iter_any():
                for message in decoder.feed(piece):
                    yield message

    async def _mark_archived(self, streams: list[Stream], replica: HubReplica) -> None:
        """Streams that a leader before this one has brought to their end are whole in the store."""
        for stream in streams:
            lines = await archived_line_count(self._store, stream)
            if lines is not None:
                replica.apply(StreamArchived(stream, lines + 1))

    async def _read_store(self, run: Run) -> None:
        """Without a leader: what the store has got since the last look."""
        replica = HubReplica(self._hub, *run)
        logs = self._hub.logs(*run)
        known = {chunk.key: chunk for log in logs for chunk in log.chunks}
        try:
            parts, whole = await read_stored_chunks(self._store, *run, known)
            done = {log.stream for log in logs if log.archived}
            await self._mark_archived(sorted(whole - done), replica)
        except (StorageError, LogError) as problem:
            logger.info("the logs of %s/%s can't be read from the store either: %s", *run, problem)
            return
        for stream, chunks in parts.items():
            replica.apply(StreamOpened(stream, chunks[-1].end, tuple(chunks)))
