"""Turns output into numbered blocks of masked lines. Pure.

Whole lines are passed on at once; the beginning of a line waits for its end, so that readers never see half a line and
the mask rarely has to hold text back. A line longer than the limit is truncated, visibly. What a line that is being
written looks like meanwhile, such as a progress bar, is told apart from the blocks (`partial`).
"""

from array import array

from controller.logs.collect.mark_reader import MarkReader
from controller.logs.masking.control_sequences import strip_controls
from controller.logs.masking.mask import SecretMasker
from controller.logs.model import UNKNOWN_TIME, Block, CommandStart, PartialLine
from controller.logs.timestamps import ParsedChunk

MAX_LINE_BYTES = 1024 * 1024
_MASK_AT = 64 * 1024
_MAX_BLANK_STATES = 4
"""States that only clear the line, behind which the last one with text is looked for."""
_MAX_PARTIAL_BYTES = 4096
"""Of the state of an unfinished line, so much is shown at most."""


class LineNumberer:
    """Numbers one stream's lines from `first`. `gaps` is the number of places where output is missing.

    `marks` takes the marks of the step's commands out of the output before it is masked; None where there are none.
    """

    def __init__(
        self,
        mask: SecretMasker,
        first: int = 1,
        gaps: int = 0,
        line_limit: int = MAX_LINE_BYTES,
        marks: MarkReader | None = None,
    ) -> None:
        self._mask = mask
        self._marks = marks
        self._held = 0
        """Lines that were given to the mask and have not been passed on."""
        self._within_line = False
        """Whether the mask has the beginning of a line whose end has not come."""
        self._next = first
        self._limit = line_limit
        self._times = array("q")
        self._raw: list[bytes] = []
        self._raw_size = 0
        self._line = b""
        self._dropped = 0
        self.gaps = gaps

    def add(self, chunk: ParsedChunk) -> Block | None:
        """The lines that this output completes, if any."""
        self._times.extend(chunk.times)
        cut = chunk.data.rfind(b"\n") + 1
        if cut:
            whole = b"".join((*self._raw, chunk.data[:cut]))
            self._raw, self._raw_size = [], 0
            self._buffer(chunk.data[cut:])
            return self._complete_lines(self._feed_mask(self._without_marks(whole)))
        self._buffer(chunk.data)
        if self._raw_size < _MASK_AT:
            return None
        part, self._raw, self._raw_size = b"".join(self._raw), [], 0
        if self._marks is not None and (held := self._marks.held_back(part)):
            self._buffer(part[-held:])
            part = part[:-held]
        return self._complete_lines(self._feed_mask(part))

    def take_commands(self) -> list[CommandStart]:
        """The commands whose start was found since the last call."""
        if self._marks is None or not self._marks.found:
            return []
        found, self._marks.found = self._marks.found, []
        return found

    @property
    def has_partial(self) -> bool:
        """Whether a line has begun whose end has not come."""
        return bool(self._raw_size or self._line or self._within_line)

    def partial(self) -> PartialLine | None:
        """What the unfinished line shows now: its text after the last carriage return; None if that is not known.

        It is not known while there is none, while earlier lines are held back by the mask, and at a mark.
        """
        raw = b"".join(self._raw)
        if self._held or (self._marks is not None and self._marks.may_be_in(raw)):
            return None
        text = last_state(self._line[-_MAX_PARTIAL_BYTES:] + self._mask.preview(raw))
        if not text:
            return None
        time = self._times[0] if self._times else UNKNOWN_TIME
        return PartialLine(self._next, time, text[:_MAX_PARTIAL_BYTES])

    def _without_marks(self, whole: bytes) -> bytes:
        if self._marks is None:
            return whole
        line = self._next + self._held
        return self._marks.remove(whole, self._times, self._held, line, within_line=self._within_line)

    def _feed_mask(self, data: bytes) -> bytes:
        if not data:
            return b""
        self._held += data.count(b"\n")
        self._within_line = not data.endswith(b"\n")
        return self._mask.feed(data)

    def gap(self, why: str) -> Block:
        """The lines so far, and a line that says what is missing."""
        self.gaps += 1
        data = self._drain()
        if data and not data.endswith(b"\n"):
            data += b"\n"
        times = self._take_times(data.count(b"\n"))
        self._times = array("q")
        times.append(UNKNOWN_TIME)
        return self._block(times, data + f"[c8s: {why}]\n".encode())

    def end(self) -> Block | None:
        """The last lines; the very last one may lack its newline."""
        data = self._drain()
        times = self._take_times(data.count(b"\n") + (not data.endswith(b"\n") and bool(data)))
        return self._block(times, data) if times else None

    def _buffer(self, data: bytes) -> None:
        if data:
            self._raw.append(data)
            self._raw_size += len(data)

    def _drain(self) -> bytes:
        raw, self._raw, self._raw_size = b"".join(self._raw), [], 0
        masked = self._feed_mask(raw) + self._mask.flush()
        self._held, self._within_line = 0, False
        cut = masked.rfind(b"\n") + 1
        lines = self._finish_line(masked[:cut]) if cut else b""
        self._extend_line(masked[cut:])
        line, self._line = self._line + self._truncation_notice(), b""
        return lines + line

    def _complete_lines(self, masked: bytes) -> Block | None:
        cut = masked.rfind(b"\n") + 1
        data = self._finish_line(masked[:cut]) if cut else b""
        self._extend_line(masked[cut:])
        if not data:
            return None
        return self._block(self._take_times(data.count(b"\n")), data)

    def _finish_line(self, masked: bytes) -> bytes:
        """Masked text that ends in a newline, after the waiting beginning of its first line."""
        if not self._line:
            return masked
        end = masked.find(b"\n")
        self._extend_line(masked[:end])
        line, self._line = self._line, b""
        return line + self._truncation_notice() + masked[end:]

    def _extend_line(self, masked: bytes) -> None:
        """Extends the waiting line, up to the limit: of a progress bar its end is kept, otherwise the beginning."""
        if len(self._line) == self._limit and b"\r" not in masked:
            self._dropped += len(masked)
            return
        self._line += masked
        if len(self._line) <= self._limit:
            return
        cut = self._line.find(b"\r", len(self._line) - self._limit // 2) + 1
        if cut in (0, len(self._line)):
            self._dropped += len(self._line) - self._limit
            self._line = self._line[: self._limit]
        else:
            self._dropped += cut
            self._line = self._line[cut:]

    def _truncation_notice(self) -> bytes:
        if not self._dropped:
            return b""
        self.gaps += 1
        note = f" [c8s: {self._dropped} more bytes of this line are missing: a line may have {self._limit} bytes]"
        self._dropped = 0
        return note.encode()

    def _take_times(self, count: int) -> "array[int]":
        taken = self._times[:count]
        del self._times[:count]
        if len(taken) < count:
            taken.extend([UNKNOWN_TIME] * (count - len(taken)))
        return taken

    def _block(self, times: "array[int]", data: bytes) -> Block:
        self._held = max(0, self._held - len(times))
        block = Block(self._next, times, data)
        self._next = block.end
        return block


def last_state(line: bytes) -> bytes:
    """What a line shows after its carriage returns: the text behind the last one that visible text follows.

    >>> last_state(b"10%\\r 20%\\r")
    b' 20%'
    """
    states = line.rstrip(b"\r").rsplit(b"\r", _MAX_BLANK_STATES)
    return next((state for state in reversed(states) if strip_controls(state).strip()), b"")
