"""Masks secrets in a stream of bytes, however the stream is cut into chunks.

Every byte that belongs to an occurrence of a secret is masked; overlapping occurrences become one `***`. Newlines
inside are kept (`***` on each line), so that the number of lines and their times stay right.

What is masked depends on the stream alone, not on its chunks: the beginning of a line is held back until the line ends,
and whole lines as long as they may be the beginning of an occurrence. Of a long line, only such text is held back.
"""

from controller.logs.masking.control_sequences import MAX_RENDERED_BYTES
from controller.logs.masking.patterns import SecretPatterns
from controller.logs.masking.wrapped import MIN_RUN

MASK = b"***"
_MAX_STATES = 4
"""States of a line, between its carriage returns, that are tried for one that can be shown whole."""


class SecretMasker:
    """The mask of one stream. Feed it the stream in any chunks, then flush it."""

    def __init__(self, patterns: SecretPatterns) -> None:
        self._patterns = patterns
        self._held = b""
        self._before = b"\n"
        self._hidden = 0
        self._starred = False
        self._found: set[tuple[int, int]] = set()

    def feed(self, data: bytes) -> bytes:
        """Everything that is decided by now, masked."""
        if not self._patterns:
            return data
        line_size = len(data) - data.rfind(b"\n") - 1
        is_whole = line_size == len(data)
        held, self._held = self._held, b""
        data = held + data if held else data
        if is_whole:
            line_size = len(data) - data.rfind(b"\n", max(0, len(held) - MAX_RENDERED_BYTES)) - 1
        is_long = line_size > MAX_RENDERED_BYTES or (line_size == len(data) and not self._is_line_start)
        if is_long:
            return self._mask(data, self._patterns.pending_start(data, self._before))
        if is_whole:
            self._held = data
            return b""
        lines, rest = data[: len(data) - line_size], data[len(data) - line_size :]
        pending = self._patterns.pending_start(lines, self._before)
        out = self._mask(lines, pending if pending == len(lines) else lines.rfind(b"\n", 0, pending) + 1)
        self._held += rest
        return out

    def flush(self) -> bytes:
        """The rest: the stream has ended, so what was held back is not an occurrence."""
        held, self._held = self._held, b""
        return self._mask(held, len(held)) if held else b""

    def preview(self, data: bytes) -> bytes:
        """What could be passed on by now if this came next, masked; nothing is passed on.

        Without the end that may be the beginning of an occurrence: what is shown of a line that is being written never
        has a part of a secret. Nothing at all while earlier lines are held back.
        """
        if not self._patterns:
            return self._held + data
        data = self._held + data
        if b"\n" in data or self._hidden or self._found:
            return b""
        decided = self._previewed_end(data)
        out: list[bytes] = []
        position = 0
        for start, end in sorted(self._patterns.find(data, self._before, is_line_start=self._is_line_start)):
            if start >= decided:
                break
            if start >= position:
                out += (data[position:start], MASK)
            position = max(position, end)
        return b"".join((*out, data[position:decided]))

    def _previewed_end(self, data: bytes) -> int:
        """Where what can be shown of an unfinished line ends: if possible, behind its last state or one before."""
        decided = self._patterns.pending_start(data, self._before)
        end = len(data)
        for _ in range(_MAX_STATES):
            end = data.rfind(b"\r", 0, end)
            if end < decided:
                break
            if self._patterns.pending_start_of_state(data[: end + 1], self._before) > end:
                return end + 1
        return decided

    @property
    def _is_line_start(self) -> bool:
        return self._before.endswith(b"\n")

    def _mask(self, data: bytes, decided: int) -> bytes:
        """Masks data[:decided] and holds the rest back.

        The first `_hidden` bytes belong to an occurrence that began before them and has its stars.
        """
        # What a dump has of a secret are several parts, of which the first ones may be decided already.
        found = self._found | set(self._patterns.find(data, self._before, is_line_start=self._is_line_start))
        self._found = {(start - decided, end - decided) for start, end in found if start >= decided}
        if decided:
            self._before = (self._before + data[max(0, decided - MIN_RUN) : decided])[-MIN_RUN:]
        self._held = data[decided:]
        if not found and not self._hidden:
            return data[:decided]
        out: list[bytes] = []
        position = 0
        for start, end, is_open in self._masked_spans(found, decided):
            out.append(data[position:start])
            position = min(end, decided)
            out.append(self._mask_lines(data[start:position], is_open))
            self._hidden = max(0, end - decided)
        out.append(data[position:decided])
        return b"".join(out)

    def _masked_spans(self, found: set[tuple[int, int]], decided: int) -> list[tuple[int, int, bool]]:
        """What to mask, overlaps joined: (start, end, whether it began in earlier data)."""
        spans: list[tuple[int, int, bool]] = []
        current: tuple[int, int, bool] | None = (0, self._hidden, True) if self._hidden else None
        for start, end in sorted(found):
            if current is not None and start < current[1]:
                current = (current[0], max(end, current[1]), current[2])
                continue
            if current is not None:
                spans.append(current)
            current = (start, end, False)
        if current is not None:
            spans.append(current)
        return [span for span in spans if span[0] < decided or span[2]]

    def _mask_lines(self, hidden: bytes, is_open: bool) -> bytes:
        """Stars for each masked line, except for one that has them already."""
        starred = self._starred and is_open
        lines = []
        for number, line in enumerate(hidden.split(b"\n")):
            starred = starred and number == 0
            lines.append(MASK if line and not starred else b"")
            starred = starred or bool(line)
        self._starred = starred
        return b"\n".join(lines)
