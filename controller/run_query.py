"""The filter language of lists of runs: `status:failed branch:main age<1h deploy !draft`. Pure.

The workbench and the dashboard share it, each with its own type of a run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Protocol


class Run(Protocol):
    """What the filters ask of a run."""

    @property
    def name(self) -> str: ...
    @property
    def pipeline(self) -> str: ...
    @property
    def branch(self) -> str | None: ...
    @property
    def commit(self) -> str | None: ...
    @property
    def event(self) -> str | None: ...
    @property
    def triggered_by(self) -> str | None: ...
    @property
    def created_by(self) -> str | None: ...
    @property
    def watch(self) -> bool: ...
    @property
    def phase(self) -> str: ...
    @property
    def created_at(self) -> datetime | None: ...
    @property
    def start_time(self) -> datetime | None: ...
    @property
    def completion_time(self) -> datetime | None: ...


Predicate = Callable[[Run, datetime], bool]

_STATUSES = {
    "pending": "Pending", "queued": "Queued",
    "running": "Running", "active": "Running",
    "succeeded": "Succeeded", "success": "Succeeded", "passed": "Succeeded", "green": "Succeeded",
    "failed": "Failed", "failure": "Failed", "red": "Failed",
    "cancelled": "Cancelled", "canceled": "Cancelled",
}  # fmt: skip
_STATUS_NAMES = ("pending", "queued", "running", "succeeded", "failed", "cancelled")
_TEXT_FIELDS: dict[str, Callable[[Run], Iterable[str | None]]] = {
    "name": lambda run: (run.name,),
    "pipeline": lambda run: (run.pipeline,),
    "branch": lambda run: (run.branch,),
    "commit": lambda run: (run.commit,),
    "event": lambda run: (run.event,),
    "by": lambda run: (run.created_by, run.triggered_by),
    "watch": lambda run: ("yes" if run.watch else "no",),
}
_EXACT_FIELDS = frozenset(("pipeline", "branch", "event", "watch"))
"""Fields whose value is the whole text; the others contain it."""
_TIMES = ("age", "duration")
FIELDS = ("status", *_TEXT_FIELDS, *_TIMES)
_FIELD = re.compile(r"([a-z]+):(.*)", re.DOTALL)
_COMPARISON = re.compile(r"([a-z]+)(<=|>=|<|>|=)(.*)", re.DOTALL)
_BLANKS = re.compile(r"(?<!\S)(!?(?:age|duration))\s*(<=|>=|<|>)\s*")
"""Around the sign of a comparison."""
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
_UNITS = (86_400, 3_600, 60, 1)
_MAX_QUOTED = 30
"""Characters of a wrong word in the message about it."""


@dataclass(frozen=True)
class RunQuery:
    """The conditions of a filter, and what is wrong with the terms that were left out."""

    predicates: tuple[Predicate, ...]
    problems: tuple[str, ...]

    def matches(self, run: Run, now: datetime) -> bool:
        return all(predicate(run, now) for predicate in self.predicates)


class _TermError(Exception):
    """A term of a filter is invalid; the message says why."""


@lru_cache(maxsize=32)
def parse_query(text: str) -> RunQuery:
    """Parse a filter. Terms with an error are ignored and reported, so that the list does not jump while one types."""
    predicates, problems = [], []
    for term in _BLANKS.sub(r"\1\2", text.lower()).split():
        excluded, bare = term.startswith("!"), term.removeprefix("!")
        if not bare:
            continue
        try:
            predicate = _term(bare)
        except _TermError as error:
            problems.append(str(error))
            continue
        predicates.append(_negated(predicate) if excluded else predicate)
    return RunQuery(tuple(predicates), tuple(problems))


def run_begin(run: Run) -> datetime | None:
    """The start of the run: its creation, or, as that has whole seconds only, its start time if less than 1 s later."""
    created, started = run.created_at, run.start_time
    if created is None or started is None:
        return started or created
    return started if (started - created).total_seconds() < 1.0 else created


def run_duration(run: Run, now: datetime) -> float | None:
    """Seconds from the start of the run to its end, or up to `now`."""
    begin = run_begin(run)
    return None if begin is None else max(0.0, ((run.completion_time or now) - begin).total_seconds())


def _negated(predicate: Predicate) -> Predicate:
    return lambda run, now: not predicate(run, now)


def _term(term: str) -> Predicate:
    if match := _COMPARISON.fullmatch(term):
        return _comparison(*match.groups())
    if match := _FIELD.fullmatch(term):
        return _field(*match.groups())
    return lambda run, _: any(term in text.lower() for text in _all_texts(run) if text)


def _all_texts(run: Run) -> tuple[str | None, ...]:
    return (run.name, run.branch, run.commit, run.event, run.triggered_by, run.created_by, run.phase)


def _field(name: str, value: str) -> Predicate:
    if name in _TIMES:
        raise _TermError(f"{name} is compared with < or >, as in {name}<1h")
    if name not in FIELDS:
        raise _TermError(_unknown_field(name))
    values = [each for each in value.split(",") if each]
    if not values:
        raise _TermError(f"{name}: needs a value, as in {_example(name)}")
    if name == "status":
        phases = frozenset(_status(each) for each in values)
        return lambda run, _: run.phase in phases
    texts, is_exact = _TEXT_FIELDS[name], name in _EXACT_FIELDS

    def holds(run: Run, _: datetime) -> bool:
        found = [text.lower() for text in texts(run) if text]
        return any(_text_matches(text, each, is_exact) for text in found for each in values)

    return holds


def _text_matches(text: str, value: str, is_exact: bool) -> bool:
    if "*" in value or "?" in value:
        return fnmatchcase(text, value)
    return text == value if is_exact else value in text


def _status(value: str) -> str:
    if value in _STATUSES:
        return _STATUSES[value]
    for names in (_STATUS_NAMES, _STATUSES):
        matching = {_STATUSES[name] for name in names if name.startswith(value)}
        if len(matching) == 1:
            return matching.pop()
    near = get_close_matches(value, _STATUSES, n=1)
    hint = f"did you mean status:{near[0]}?" if near else f"there are {', '.join(_STATUS_NAMES)}"
    raise _TermError(f"there is no status {_quoted(value)}; {hint}")


def _comparison(name: str, operator: str, value: str) -> Predicate:
    if name not in _TIMES:
        if name in FIELDS:
            raise _TermError(f"{name} is written with a colon, as in {_example(name)}")
        raise _TermError(_unknown_field(name))
    if operator == "=":
        raise _TermError(f"{name} is compared with < or >, as in {name}<1h")
    limit = _seconds(name, value)
    below = operator.startswith("<")

    def holds(run: Run, now: datetime) -> bool:
        seconds = _age(run, now) if name == "age" else run_duration(run, now)
        if seconds is None:
            return False
        return (seconds < limit if below else seconds > limit) or (operator.endswith("=") and seconds == limit)

    return holds


def _age(run: Run, now: datetime) -> float | None:
    return (now - run.created_at).total_seconds() if run.created_at is not None else None


def _seconds(name: str, value: str) -> float:
    match = _DURATION.fullmatch(value)
    if match is None or not value:
        raise _TermError(f"{name} needs a time with a unit (s, m, h or d), as in {name}<90s or {name}>1h30m")
    return sum(float(number) * unit for number, unit in zip(match.groups(), _UNITS, strict=True) if number)


def _unknown_field(name: str) -> str:
    near = get_close_matches(name, FIELDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FIELDS)}"
    return f"there is no field {_quoted(name)}; {hint}"


def _quoted(text: str) -> str:
    """What was typed, of a long text its beginning."""
    return repr(text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…")


def _example(name: str) -> str:
    examples = {"status": "failed", "branch": "main", "pipeline": "web-*", "commit": "1a2b3c4", "event": "tag",
                "by": "alice", "name": "web-4", "watch": "yes"}  # fmt: skip
    return f"{name}:{examples[name]}"
