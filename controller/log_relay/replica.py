"""Applies the leader's messages about one run to the API's own hub, each line once. Pure.

A new leader starts again at the last chunk, so known lines are repeated under the same numbers, and skipped.
"""

from controller.log_relay.errors import RelayProtocolError
from controller.log_relay.protocol import (
    ChunksStored,
    CommandsAdded,
    LinesAppended,
    Message,
    PartialLineChanged,
    RunDropped,
    StreamArchived,
    StreamEnded,
    StreamOpened,
)
from controller.logs.live.hub import LogHub
from controller.logs.model import Stream


class HubReplica:
    """One run in the hub. `confirmed` are the streams that the current leader has reported."""

    def __init__(self, hub: LogHub, namespace: str, run_uid: str) -> None:
        self._hub = hub
        self._namespace = namespace
        self._run_uid = run_uid
        self.confirmed: set[Stream] = set()

    def cursors(self) -> dict[Stream, int]:
        """The next line of each stream that has not ended."""
        logs = self._hub.logs(self._namespace, self._run_uid)
        return {log.stream: log.ring.end for log in logs if not log.archived}

    def unconfirmed(self) -> list[Stream]:
        """Streams that have not ended and that the current leader has not reported."""
        return [stream for stream in self.cursors() if stream not in self.confirmed]

    def apply(self, message: Message) -> None:
        """Applies one message. Raises RelayProtocolError for lines that leave a gap."""
        match message:
            case StreamOpened():
                self.confirmed.add(message.stream)
                self._apply_opened(message)
            case ChunksStored():
                log = self._hub.get(message.stream)
                if log is not None and not log.archived:
                    log.chunks.extend(message.chunks)
            case CommandsAdded():
                log = self._hub.get(message.stream)
                if log is not None:
                    self._hub.add_commands(log, message.commands)
            case LinesAppended():
                self._apply_lines(message)
            case PartialLineChanged():
                log = self._hub.get(message.stream)
                if log is not None:
                    self._hub.set_partial(log, message.line)
            case StreamEnded():
                log = self._hub.get(message.stream)
                if log is not None and not log.ended and log.ring.end >= message.next:
                    self._hub.mark_ended(log)
            case StreamArchived():
                self.confirmed.add(message.stream)
                self._apply_archived(message)
            case RunDropped():
                self.confirmed.clear()
                self._hub.forget(self._namespace, self._run_uid)

    def _apply_opened(self, message: StreamOpened) -> None:
        log = self._hub.get(message.stream)
        if log is None or (not log.archived and message.next > log.ring.end):
            # Reopened, not continued: readers then take what lies between from the chunks.
            self._hub.open(message.stream, message.next, list(message.chunks), message.commands)
        elif not log.archived:
            log.chunks = list(message.chunks)
            self._hub.add_commands(log, message.commands)

    def _apply_lines(self, message: LinesAppended) -> None:
        log = self._hub.get(message.stream)
        if log is None or log.archived or message.block.end <= log.ring.end:
            return
        if message.block.first > log.ring.end:
            raise RelayProtocolError(f"lines before {message.block.first} of {message.stream.key} are missing")
        self._hub.publish(log, message.block.from_line(log.ring.end))

    def _apply_archived(self, message: StreamArchived) -> None:
        log = self._hub.get(message.stream)
        if log is None or (log.ring.end != message.next and not log.archived):
            log = self._hub.open(message.stream, message.next, [], message.commands)
        self._hub.add_commands(log, message.commands)
        if not log.archived:
            self._hub.mark_archived(log)
