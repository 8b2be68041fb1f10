"""Takes the marks of commands out of a step's output. Pure."""

from __future__ import annotations

from array import array

from controller.command_mark import MARK_PATTERN, MAX_MARK_BYTES, CommandMark
from controller.logs.model import UNKNOWN_TIME, CommandStart


class MarkReader:
    """Takes the marks of one attempt out of its output."""

    def __init__(self, mark: CommandMark, latest: int = -1) -> None:
        self._prefix = mark.prefix.encode()
        self._nonce = mark.nonce.encode()
        self._latest = latest
        self.found: list[CommandStart] = []

    def remove(self, data: bytes, times: array[int], first: int, line: int, *, within_line: bool) -> bytes:
        """Whole lines without their marks; a line that is nothing but a mark is removed, with its time.

        Args:
            data: output that ends in a newline.
            times: times of lines; those of the removed lines are deleted.
            first: index in `times` of the first line of `data`.
            line: number of the first line of `data`.
            within_line: whether `data` goes on with a line whose beginning has been passed on already.
        """
        if self._prefix not in data:
            return data
        kept: list[bytes] = []
        position = count = 0
        for match in MARK_PATTERN.finditer(data):
            if match["nonce"] != self._nonce:
                continue
            text = data[position : match.start()]
            count += text.count(b"\n")
            kept.append(text)
            position = match.end()
            time = times[first + count] if first + count < len(times) else UNKNOWN_TIME
            if text[-1:] not in (b"\n", b"") or (match.start() == 0 and within_line):
                # The output before it had no line break.
                kept.append(b"\n")
                count += 1
            elif first + count < len(times):
                del times[first + count]
            self._add(int(match["command"]), line + count, time)
        kept.append(data[position:])
        return b"".join(kept)

    def held_back(self, data: bytes) -> int:
        """The number of bytes at the end of `data` that may be the beginning of a mark."""
        begin = data.rfind(b"\x1b", max(0, len(data) - MAX_MARK_BYTES))
        return len(data) - begin if begin >= 0 else 0

    def may_be_in(self, data: bytes) -> bool:
        """Whether the data has a mark, or ends in what may be the beginning of one."""
        begin = data.rfind(b"\x1b", max(0, len(data) - MAX_MARK_BYTES))
        return self._prefix in data or (begin >= 0 and self._prefix.startswith(data[begin:]))

    def _add(self, index: int, line: int, time: int) -> None:
        """A command that is marked again, as in a loop, has started before."""
        if index > self._latest:
            self._latest = index
            self.found.append(CommandStart(index, line, time))
