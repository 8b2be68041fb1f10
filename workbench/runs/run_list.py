"""The runs of a namespace, updated by watch events, newest first."""

from __future__ import annotations

from workbench.client.models import Change, Run, RunChanged, RunDeleted, RunsListed


class RunList:
    """Applies changes; `loaded` is False until the first complete list."""

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
        """The runs without debug runs, which exist only for the time of a shell."""
        if self._newest is None:
            shown = (run for run in self._runs.values() if run.copy_of is None)
            self._newest = sorted(shown, key=lambda run: run.creation_order, reverse=True)
        return self._newest

    @property
    def active(self) -> bool:
        """Whether a run is in progress, so that durations change."""
        return any(not run.ended for run in self._runs.values())
