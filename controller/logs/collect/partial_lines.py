"""Shows readers what the line that a stream is writing looks like, such as a progress bar, at a bounded rate."""

from __future__ import annotations

import asyncio
import logging

from controller.logs.collect.follower import Sleep
from controller.logs.collect.line_numbering import LineNumberer
from controller.logs.live.hub import LiveLog, LogHub

logger = logging.getLogger(__name__)

INTERVAL = 0.1
"""Seconds between two states of a line; also the time that the end of a line has to come, before its beginning is
shown."""
UNREAD_INTERVAL = 1.0
"""The same while the run has no readers: one that comes finds a state that is not older."""


class PartialLines:
    """Publishes the states of the unfinished lines of one stream.

    Args:
        group: runs the task that publishes the next state.
    """

    def __init__(
        self, numberer: LineNumberer, log: LiveLog, hub: LogHub, group: asyncio.TaskGroup, sleep: Sleep
    ) -> None:
        self._numberer = numberer
        self._log = log
        self._hub = hub
        self._group = group
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    def output_came(self) -> None:
        """Publish the state of the unfinished line soon, if there is one."""
        if self._numberer.has_partial and (self._task is None or self._task.done()):
            self._task = self._group.create_task(self._publish(), name=f"{self._log.stream.key} partial")

    def close(self) -> None:
        """Publish nothing any more."""
        if self._task is not None:
            self._task.cancel()

    async def _publish(self) -> None:
        stream = self._log.stream
        has_readers = self._hub.has_readers(stream.namespace, stream.run_uid)
        await self._sleep(INTERVAL if has_readers else UNREAD_INTERVAL)
        try:
            partial = self._numberer.partial()
            if partial is not None:
                self._hub.set_partial(self._log, partial)
        except Exception:
            # The line itself is stored all the same, and other streams go on.
            logger.exception("the unfinished line of %s can't be shown", stream.key)
