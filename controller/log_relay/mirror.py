"""A mirror of the leader's hub, for API processes without an operator: copied run by run while there are readers.

Readers use it like any hub and receive the same lines under the same numbers. One stream from the leader serves all
readers of a run. While no leader can be reached, the chunks in the store are read repeatedly.
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
from controller.log_relay.chunk_fallback import archived_summary, read_stored_chunks
from controller.log_relay.errors import LogRelayError, NoLeaderError
from controller.log_relay.protocol import Decoder, Message, SnapshotEnd, StreamArchived, StreamOpened
from controller.log_relay.replica import HubReplica
from controller.log_relay.server import LIVE_PATH
from controller.logs.errors import LogError
from controller.logs.live.hub import LiveLog, LogHub, Subscription
from controller.logs.model import Stream
from controller.run_types.keys import RunId
from controller.storage import ObjectStore, StorageError

IDLE_SECONDS = 10.0
SYNC_TIMEOUT = 3.0
CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 5.0
MIN_RETRY_DELAY = 0.1
MAX_RETRY_DELAY = 2.0
EVICTION_INTERVAL = 1.0

logger = logging.getLogger("c8s.live")


@dataclass(eq=False)
class _MirroredRun:
    """A run with readers, or without since `last_used` (monotonic seconds). `synced` is set by the first answer."""

    readers: int = 0
    last_used: float = 0.0
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class LogMirror:
    """A hub for readers.

    `find_leader` returns the leader's address or raises LogRelayError; `key` is the relay key (`auth.py`).
    """

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
        self._mirrored: dict[RunId, _MirroredRun] = {}
        self._group: asyncio.TaskGroup | None = None
        self._session: aiohttp.ClientSession | None = None

    # -- for readers

    def get(self, stream: Stream) -> LiveLog | None:
        """See LiveLogs."""
        return self._hub.get(stream)

    def logs(self, namespace: str, run_uid: str) -> list[LiveLog]:
        """See LiveLogs."""
        return self._hub.logs(namespace, run_uid)

    def subscribe(self, namespace: str, run_uid: str) -> tuple[Subscription, Callable[[], None]]:
        """See LiveLogs. The run is mirrored while there is a subscription, and for a short time after."""
        subscription, leave = self._hub.subscribe(namespace, run_uid)
        mirrored = self._ensure_mirrored(RunId(namespace, run_uid))
        mirrored.readers += 1

        def leave_both() -> None:
            leave()
            mirrored.readers -= 1
            mirrored.last_used = self._monotonic()

        return subscription, leave_both

    async def wait_for_sync(self, namespace: str, run_uid: str) -> None:
        """See LiveLogs: returns after the leader's snapshot of the run, or after reading the store instead."""
        mirrored = self._ensure_mirrored(RunId(namespace, run_uid))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SYNC_TIMEOUT):
                await mirrored.synced.wait()

    # -- mirroring

    async def run(self) -> None:
        """Mirrors runs with readers, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session,
            asyncio.TaskGroup() as group,
        ):
            self._session, self._group = session, group
            try:
                for run, mirrored in self._mirrored.items():
                    mirrored.task = group.create_task(self._mirror(run, mirrored))
                while True:
                    await self._sleep(EVICTION_INTERVAL)
                    self._evict_idle()
            finally:
                self._session = self._group = None

    def _ensure_mirrored(self, run: RunId) -> _MirroredRun:
        mirrored = self._mirrored.get(run)
        if mirrored is None:
            mirrored = self._mirrored[run] = _MirroredRun()
            if self._group is not None:
                mirrored.task = self._group.create_task(
                    self._mirror(run, mirrored), name=f"mirror {run.namespace}/{run.uid}"
                )
        mirrored.last_used = self._monotonic()
        return mirrored

    def _evict_idle(self) -> None:
        """Drops the runs that have had no readers for a while."""
        now = self._monotonic()
        for run, mirrored in list(self._mirrored.items()):
            if not mirrored.readers and now - mirrored.last_used >= IDLE_SECONDS:
                del self._mirrored[run]
                if mirrored.task is not None:
                    mirrored.task.cancel()
                self._hub.forget(*run)

    async def _mirror(self, run: RunId, mirrored: _MirroredRun) -> None:
        """Mirrors one run, from leader to leader."""
        last_problem = ""
        delay = MIN_RETRY_DELAY
        while True:
            replica = HubReplica(self._hub, *run)
            try:
                async for message in self._messages(run, replica):
                    replica.apply(message)
                    last_problem, delay = "", MIN_RETRY_DELAY
                    if isinstance(message, SnapshotEnd):
                        await self._mark_archived(replica.unconfirmed(), replica)
                        mirrored.synced.set()
            except (LogRelayError, aiohttp.ClientError, TimeoutError, OSError, StorageError, LogError) as problem:
                message_text = str(problem) or type(problem).__name__
                if message_text != last_problem:
                    logger.info("live logs of %s/%s are read from the store: %s", *run, message_text)
                last_problem = message_text
            except Exception:
                # An unexpected error must not end the other runs' streams; the store still has the lines.
                logger.exception("mirroring the logs of %s/%s failed; restarting", *run)
            await self._read_store(run)
            mirrored.synced.set()
            await self._sleep(delay)
            delay = min(MAX_RETRY_DELAY, delay * 2)

    async def _messages(self, run: RunId, replica: HubReplica) -> AsyncGenerator[Message, None]:
        """The leader's messages, until the connection ends."""
        assert self._session is not None
        address = await self._find_leader()
        have = [[each.slug, each.attempt, each.container, number] for each, number in replica.cursors().items()]
        body = json.dumps({"namespace": run.namespace, "uid": run.uid, "have": have, "partial": True}).encode()
        nonce = self._new_nonce()
        headers = {"Authorization": sign_request(self._key, address, body, now=self._wall_clock(), nonce=nonce)}
        decoder = Decoder(*run)
        url = address + LIVE_PATH
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                raise NoLeaderError(f"{address} answers {response.status} to a request for live logs")
            if not secrets.compare_digest(response.headers.get(PROOF_HEADER, ""), sign_response(self._key, nonce)):
                raise NoLeaderError(f"the server at {address} is not an operator of this installation")
            async for data in response.content.iter_any():
                for message in decoder.feed(data):
                    yield message

    async def _mark_archived(self, streams: list[Stream], replica: HubReplica) -> None:
        """Marks streams that an earlier leader has finished: they are complete in the store."""
        for stream in streams:
            summary = await archived_summary(self._store, stream)
            if summary is not None:
                replica.apply(StreamArchived(stream, summary.lines + 1, summary.commands))

    async def _read_store(self, run: RunId) -> None:
        """Reads, without a leader, what was stored since the last read."""
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
