"""All runs of a namespace as a watch tells of them, newest first. Knows neither where they come from nor a screen."""

from __future__ import annotations

from datetime import UTC, datetime

from workbench.client.models import Change, Run, RunChanged, RunDeleted, RunsListed

_NEVER = datetime.min.replace(tzinfo=UTC)


class RunList:
    """Fed with changes; `known` is False until the first whole list has come."""

    def __init__(self) -> None:
        self.loaded = False
        self._runs: dict[str, Run] = {}
        self._newest: list[Run] | None = None

    def apply(self, change: Change) -> None:
        match change:
            case RunsListed(runs):
                self._runs = {run.name: run for run in runs}
                self.loaded = True
            case RunChanged(run):
                self._runs[run.name] = run
            case RunDeleted(run):
                self._runs.pop(run.name, None)
        self._newest = None

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, name: str) -> Run | None:
        return self._runs.get(name)

    @property
    def newest(self) -> list[Run]:
        """Without the copies of failed steps, which are there only while somebody looks around in one."""
        if self._newest is None:
            shown = (run for run in self._runs.values() if run.copy_of is None)
            self._newest = sorted(shown, key=lambda run: (run.created_at or _NEVER, run.number), reverse=True)
        return self._newest

    @property
    def active(self) -> bool:
        """Whether something runs or waits, so that durations change by themselves."""
        return any(not run.ended for run in self._runs.values())
