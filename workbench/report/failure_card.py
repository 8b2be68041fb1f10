"""What explains a failed step: its command, its failing lines, what differs from its last success, what changed since.

Pure; `workbench.tui.services.failure_cards` gathers what the cards are built from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from controller.run_types.phases import StepPhase
from workbench.client.models import FirstFailure, Run, Step, StepCommand
from workbench.report.compare import Difference, first_difference, normalize_line
from workbench.report.source_location import SourceLocation
from workbench.submit.changes import FileChange

CONTEXT_BEFORE, CONTEXT_AFTER = 2, 4
"""Lines around the failing one."""
_LAST_LINES = 5
"""Lines shown of a log in which no line explains the failure."""
_COMMIT = re.compile(r"(?P<sha>[0-9a-f]{7,64})(?P<dirty>-dirty)?")


@dataclass(frozen=True)
class LogTail:
    """The last lines of a log; `first` is the number (from 1) of the first of them."""

    first: int = 1
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class FailedCommand:
    """The command that failed. None for what is unknown."""

    text: str
    seconds: float | None
    exit_code: int | None


@dataclass(frozen=True)
class CardLine:
    """A line of the log; `failing` is set for the one that explains the failure."""

    number: int
    text: str
    failing: bool = False


@dataclass(frozen=True)
class Changes:
    """The files that differ between the commits of two runs; `uncommitted`: the working tree had further changes."""

    files: tuple[FileChange, ...]
    uncommitted: bool


@dataclass(frozen=True)
class Baseline:
    """The last run in which the step succeeded, and what is known of it.

    Attributes:
        difference: the first line that differs; `line` is its number in the log of the failed step.
        problem: why the logs were not compared.
        changes: None if the commits are not known in this folder.
    """

    run: str
    difference: Difference | None = None
    problem: str | None = None
    changes: Changes | None = None


@dataclass(frozen=True)
class FailedTests:
    """How many of the step's tests failed, and the first of them; their names come with the rest of the card."""

    failed: int
    total: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class FailureCard:
    """The card of a failed step. `loading`: only what the run itself says is known so far."""

    step: str
    message: str
    exit_code: int | None
    command: FailedCommand | None
    lines: tuple[CardLine, ...]
    baseline: Baseline | None = None
    source: SourceLocation | None = None
    problem: str | None = None
    """Why the log can't be shown."""
    loading: bool = True
    tests: FailedTests | None = None


@dataclass(frozen=True)
class Evidence:
    """What was gathered about a failed step."""

    commands: tuple[StepCommand, ...] = ()
    log: LogTail | None = None
    problem: str | None = None
    """Why there is no log."""
    source: SourceLocation | None = None
    green_log: LogTail | None = None
    green_problem: str | None = None
    changed_files: tuple[FileChange, ...] | None = None
    failed_tests: tuple[str, ...] = ()
    """Names of tests that failed, the first ones."""


def last_success(runs: Iterable[Run], run: Run, step: Step) -> Run | None:
    """The newest earlier run of the same pipeline in which the step succeeded."""
    green = (
        other
        for other in runs
        if other.pipeline == run.pipeline
        and other.creation_order < run.creation_order
        and other.copy_of is None
        and any(each.name == step.name and each.phase == StepPhase.SUCCEEDED for each in other.steps)
    )
    return max(green, key=lambda other: other.creation_order, default=None)


def failure_of(step: Step) -> FirstFailure | None:
    """The line that explains the failure of the last attempt."""
    attempt = step.last_attempt
    found = attempt.log.first_failure if attempt is not None and attempt.log is not None else None
    return found or step.first_failure


def initial_card(run: Run, step: Step) -> FailureCard:
    """The card of what the run itself says, until the rest is gathered."""
    failure, attempt = failure_of(step), step.last_attempt
    message = step.message or (attempt.message if attempt is not None else None) or step.reason or "failed"
    return FailureCard(
        step=step.name,
        message=message,
        exit_code=attempt.exit_code if attempt is not None else None,
        command=_only_command(run, step),
        lines=(CardLine(failure.line, failure.text, failing=True),) if failure is not None else (),
        tests=_failed_tests(step),
    )


def _failed_tests(step: Step, names: tuple[str, ...] = ()) -> FailedTests | None:
    counts = step.last_attempt.tests if step.last_attempt is not None else None
    return FailedTests(counts.failed, counts.total, names) if counts is not None and counts.failed else None


def complete_card(run: Run, step: Step, green: Run | None, evidence: Evidence) -> FailureCard:
    """The card with everything that was gathered."""
    card = initial_card(run, step)
    return replace(
        card,
        command=_last_command(step, evidence.commands) or card.command,
        lines=context_lines(evidence.log, failure_of(step)) if evidence.log is not None else card.lines,
        baseline=_baseline(run, green, evidence) if green is not None else None,
        source=evidence.source,
        problem=evidence.problem,
        loading=False,
        tests=_failed_tests(step, evidence.failed_tests),
    )


def _baseline(run: Run, green: Run, evidence: Evidence) -> Baseline:
    difference, problem = None, evidence.green_problem
    if evidence.log is not None and evidence.green_log is not None:
        try:
            difference = compare_tails(evidence.green_log, evidence.log)
        except UnalignedError as error:
            problem = str(error)
    changes = None
    if evidence.changed_files is not None:
        uncommitted = any(each.commit is not None and each.commit.endswith("-dirty") for each in (green, run))
        changes = Changes(evidence.changed_files, uncommitted)
    return Baseline(green.name, difference, problem, changes)


def commit_of(run: Run) -> str | None:
    """The commit of a run's source, without the mark of uncommitted changes; None if it has none."""
    found = _COMMIT.fullmatch(run.commit or "")
    return found["sha"] if found is not None else None


def step_definition(run: Run, step: Step) -> Mapping[str, Any]:
    """The step as the pipeline defines it; empty if that is not known."""
    steps = (run.definition or {}).get("steps")
    # A step of a matrix has its values after its name.
    names = (step.name, step.name.split(" (", 1)[0])
    found = [each for each in steps if isinstance(each, Mapping)] if isinstance(steps, list) else []
    return next((each for name in names for each in found if each.get("name") == name), {})


def _only_command(run: Run, step: Step) -> FailedCommand | None:
    """The command of a step with a single one, whose start and end are not recorded."""
    commands = step_definition(run, step).get("commands")
    if not isinstance(commands, list) or len(commands) != 1 or not isinstance(commands[0], str):
        return None
    attempt = step.last_attempt
    if attempt is None or attempt.times.running is None:
        return None
    finished = attempt.times.finished
    seconds = (finished - attempt.times.running).total_seconds() if finished is not None else None
    return FailedCommand(_first_line(commands[0]), seconds, attempt.exit_code)


def _last_command(step: Step, commands: Sequence[StepCommand]) -> FailedCommand | None:
    """The last command that has started: a step ends with the command that fails."""
    if not commands:
        return None
    last, attempt = commands[-1], step.last_attempt
    end = last.end or (attempt.times.finished if attempt is not None else None)
    seconds = max(0.0, (end - last.start).total_seconds()) if end is not None and last.start is not None else None
    exit_code = last.exit_code if last.exit_code is not None else attempt.exit_code if attempt is not None else None
    return FailedCommand(_first_line(last.text), seconds, exit_code)


def _first_line(command: str) -> str:
    lines = command.strip().splitlines()
    return f"{lines[0]} …" if len(lines) > 1 else "".join(lines)


def context_lines(log: LogTail, failure: FirstFailure | None) -> tuple[CardLine, ...]:
    """The failing line with the lines around it, or else the last lines of the log."""
    if failure is None:
        numbered = zip(range(log.first + len(log.lines) - 1, 0, -1), reversed(log.lines), strict=False)
        last = islice(((number, text) for number, text in numbered if text.strip()), _LAST_LINES)
        return tuple(CardLine(number, text) for number, text in reversed(list(last)))
    at = failure.line - log.first
    if not 0 <= at < len(log.lines):
        return (CardLine(failure.line, failure.text, failing=True),)
    first = max(at - CONTEXT_BEFORE, 0)
    shown = enumerate(log.lines[first : at + CONTEXT_AFTER + 1], log.first + first)
    return tuple(CardLine(number, text, failing=number == failure.line) for number, text in shown)


def fit_lines(lines: Sequence[CardLine], rows: int) -> tuple[CardLine, ...]:
    """At most `rows` consecutive lines: the failing one, then those after it and before it in turn."""
    at = next((index for index, line in enumerate(lines) if line.failing), len(lines) - 1)
    first, end = max(at, 0), min(max(at, 0) + 1, len(lines))
    while end - first < min(rows, len(lines)):
        # As many lines after the failing one as before it, or one more.
        if end < len(lines) and (end - 1 - at <= at - first or first == 0):
            end += 1
        else:
            first -= 1
    return tuple(lines[first:end]) if rows > 0 else ()


class UnalignedError(Exception):
    """The ends of two long logs have no line in common at which a comparison can begin."""


def compare_tails(green: LogTail, failed: LogTail) -> Difference | None:
    """The first difference of two logs; of long ones, after the first line that both ends have once.

    Raises:
        UnalignedError: there is no such line.
    """
    left, right = (0, 0) if green.first == failed.first == 1 else _common_line(green.lines, failed.lines)
    found = first_difference(
        lambda at, count: list(green.lines[left + at : left + at + count]),
        lambda at, count: list(failed.lines[right + at : right + at + count]),
    )
    return replace(found, line=failed.first + right + found.line - 1) if found is not None else None


def _common_line(left: Sequence[str], right: Sequence[str]) -> tuple[int, int]:
    # Equal lines are found much faster than those that are equal but for their times.
    found = _line_once(left, right) or _line_once(
        [normalize_line(line) for line in left], [normalize_line(line) for line in right]
    )
    if found is None:
        raise UnalignedError("the logs are too long to be compared here")
    return found


def _line_once(left: Sequence[str], right: Sequence[str]) -> tuple[int, int] | None:
    """The positions of the first line on the right that both have exactly once."""
    counted = Counter(right)
    once = {line for line, count in Counter(left).items() if count == 1 and line and counted[line] == 1}
    at = next((index for index, line in enumerate(right) if line in once), None)
    return (left.index(right[at]), at) if at is not None else None
