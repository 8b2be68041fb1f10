"""The logs of a run as they were at a moment: the beginning of each, by the times of its lines."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import accumulate

from workbench.client.models import StreamKey
from workbench.logs.log_file import LogFile
from workbench.logs.step_logs import StepLogs, Stream, StreamState


class LogBeginning(LogFile):
    """The first lines of another log, which it reads from; `shown` is how many. It only gets longer."""

    def __init__(self, whole: LogFile) -> None:
        self._folder, self._file, self._ends, self._times = whole.parts()
        self.shown = 0

    def __len__(self) -> int:
        return min(self.shown, len(self._ends))

    def close(self) -> None:
        """Nothing: the file is the other log's."""


class ReplayedLogs(StepLogs):
    """Shows the logs of `whole` up to a moment, in microseconds since 1970; None for their ends."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = StepLogs()
        self._moment: int | None = 0
        self._shown: dict[StreamKey, Stream] = {}
        self._latest: dict[StreamKey, array[int]] = {}
        """Of each complete log, the latest time up to each line: times that go back for a line are no obstacle."""

    def stream(self, key: StreamKey) -> Stream:
        if key not in self._shown:
            self._shown[key] = Stream(LogBeginning(self.whole.stream(key).log))
            self._update(key)
        return self._shown[key]

    def is_complete(self, key: StreamKey) -> bool:
        """Whether all of the log is here, however much of it is shown."""
        return self.whole.is_complete(key)

    def state(self, key: StreamKey) -> StreamState:
        found = self.whole.state(key)
        if found != "complete":
            return found
        return "complete" if self.stream(key).ended else "live"

    def problem(self, key: StreamKey) -> str | None:
        return self.whole.problem(key)

    def go_to(self, moment: int | None) -> frozenset[StreamKey]:
        """Show the logs at another moment. Returns those that got shorter: they are new streams."""
        self._moment = moment
        shorter = set()
        for key in list(self._shown):
            wanted = self._count(key)
            if wanted < len(self._shown[key].log):
                shorter.add(key)
                self._shown[key] = Stream(LogBeginning(self.whole.stream(key).log))
            self._update(key)
        return frozenset(shorter)

    def loaded(self) -> None:
        """Show what has been loaded meanwhile, as far as it was there at the moment."""
        for key in self._shown:
            self._update(key)

    def close(self) -> None:
        self._shown.clear()
        self.whole.close()

    def _update(self, key: StreamKey) -> None:
        shown, whole = self._shown[key], self.whole.stream(key)
        assert isinstance(shown.log, LogBeginning)
        shown.log.shown = self._count(key)
        shown.live = whole.ended
        shown.ended = whole.ended and len(shown.log) == len(whole.log)
        until = self._moment
        shown.commands = [each for each in whole.commands if until is None or each.time is None or each.time <= until]

    def _count(self, key: StreamKey) -> int:
        """How many lines there were; none of a log that is still being loaded."""
        whole = self.whole.stream(key)
        if not whole.ended:
            return 0
        if self._moment is None:
            return len(whole.log)
        if key not in self._latest:
            self._latest[key] = array("q", accumulate(whole.log.parts()[3], max))
        return bisect_right(self._latest[key], self._moment)
