"""Whether the tour went as it tells: checked at the end of one that runs by itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workbench.tour.story import Seen, SeenRun

BROKEN_STEP = "unit (part=prices)"
"""The step of the sample that fails."""
READS_BOOKS = frozenset(("catalogue", "website", "package", "report"))
"""The steps that read the list of books, or what is made of it."""


def list_differences(seen: Seen, failures: Sequence[str] = ()) -> tuple[str, ...]:
    """What was not as the tour tells it.

    Args:
        seen: how everything is at the end.
        failures: what the workbench has reported as failed.
    """
    runs = sorted(seen.runs, key=lambda run: run.number)
    return (*_differences_of_first(runs), *_differences_of_resumed(runs), *_differences_of_watched(runs), *failures)


def _differences_of_first(runs: Sequence[SeenRun]) -> Iterator[str]:
    first = runs[0] if runs else None
    if first is None:
        yield "no run was created"
    elif first.failed != (BROKEN_STEP,) or first.failed_tests != 1:
        failed = ", ".join(first.failed) or "nothing"
        yield f"in {first.name}, {failed} failed, with {first.failed_tests} failed tests; expected: {BROKEN_STEP}, 1"


def _differences_of_resumed(runs: Sequence[SeenRun]) -> Iterator[str]:
    resumed = next((run for run in runs[1:] if not run.watched), None)
    if resumed is None:
        yield "no run was resumed"
    elif resumed.phase != "Succeeded" or BROKEN_STEP not in resumed.ran or not resumed.reused:
        yield f"{resumed.name} is {resumed.phase}, ran {_names(resumed.ran)}, and reused {_names(resumed.reused)}"


def _differences_of_watched(runs: Sequence[SeenRun]) -> Iterator[str]:
    watched = [run for run in runs if run.watched and run.ran]
    if not watched:
        yield "no run started after a save"
        return
    last = watched[-1]
    if last.phase != "Succeeded" or frozenset(last.ran) != READS_BOOKS:
        yield f"{last.name} is {last.phase}, and ran {_names(last.ran)}; expected: {_names(sorted(READS_BOOKS))}"


def _names(steps: Sequence[str]) -> str:
    return ", ".join(steps) or "nothing"
