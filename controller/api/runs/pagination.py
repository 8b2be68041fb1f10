"""Filters, sorts and pages lists of runs: pure functions over cached objects.

A page's token names the last run shown and the time of the first page, not a number of rows: runs that are created or
end meanwhile shift nothing.
"""

import base64
import binascii
import heapq
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from controller.api.artifacts.workspaces import debug_source
from controller.api.http.problems import ApiProblemError
from controller.api.serializers import phase_of
from controller.run_numbers import pipeline_of
from controller.run_types.order import CreationKey, creation_order

Object = Mapping[str, Any]
# What a run is sorted by: a text or a number, then when it was created.
SortKey = tuple[str | float, CreationKey[str]]

_KEY_TYPES = (str, int, int, str, str, str)
"""Of the fields of a `CreationKey`."""

SORT_ORDERS = ("-created", "created", "-duration", "duration", "-name", "name")


@dataclass(frozen=True)
class RunFilter:
    """The filters; None and the empty set match everything. `text` is matched case-insensitively.

    `copies`: whether debug copies of failed steps are included. `watched`: only runs that were started by watching, or
    only others.
    """

    phases: frozenset[str] = frozenset()
    pipeline: str | None = None
    branch: str | None = None
    since: datetime | None = None
    text: str = ""
    copies: bool = True
    watched: bool | None = None

    def matches(self, run: Object) -> bool:
        """Whether the run matches every filter."""
        spec = run.get("spec") or {}
        return (
            (self.copies or debug_source(run) is None)
            and (not self.phases or phase_of(run) in self.phases)
            and (self.pipeline is None or pipeline_of(run) == self.pipeline)
            and (self.branch is None or spec.get("branch") == self.branch)
            and (self.since is None or _created_since(run, self.since))
            and (self.watched is None or bool(spec.get("watch")) == self.watched)
            and (not self.text or self._contains_text(run))
        )

    def _contains_text(self, run: Object) -> bool:
        spec, wanted = run.get("spec") or {}, self.text.casefold()
        texts = (run["metadata"]["name"], spec.get("branch"), spec.get("commit"), spec.get("triggeredBy"))
        return any(wanted in str(each).casefold() for each in texts if each)


@dataclass(frozen=True)
class Page:
    """One page of runs, and the token for the next one if there is one."""

    items: list[Object]
    next: str | None


@dataclass(frozen=True)
class _PageCursor:
    """The run after which a page begins, and the time at which durations are taken (seconds since 1970)."""

    order: str
    now: float
    key: SortKey


def paginate(
    runs: Iterable[Object], run_filter: RunFilter, *, order: str = "-created", limit: int, after: str | None, now: float
) -> Page:
    """The first `limit` runs in this order that match the filters, after the position of the token."""
    place = _decode_cursor(after, order) if after else None
    now = place.now if place is not None else now
    key_of = _sort_key(order.removeprefix("-"), now)
    keyed = ((key_of(run), run) for run in runs if run_filter.matches(run))
    backward = order.startswith("-")
    if place is not None:
        last = place.key
        keyed = ((key, run) for key, run in keyed if (key < last if backward else key > last))
    choose = heapq.nlargest if backward else heapq.nsmallest
    found = choose(limit + 1, keyed, key=lambda pair: pair[0])
    shown = found[:limit]
    more = len(found) > limit
    return Page([run for _, run in shown], _encode_cursor(_PageCursor(order, now, shown[-1][0])) if more else None)


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time; None for an invalid one."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _created_since(run: Object, since: datetime) -> bool:
    # A run has the second in which it was created: one that was created later in the second of `since` is included.
    created = parse_time(_created(run))
    return created is not None and created >= since.replace(microsecond=0)


def _sort_key(field: str, now: float) -> Callable[[Object], SortKey]:
    first: Callable[[Object], str | float]
    if field == "duration":
        first = lambda run: run_duration(run, now)  # noqa: E731 - one of three, side by side
    elif field == "name":
        first = lambda run: str(run["metadata"]["name"])  # noqa: E731
    else:
        first = _created
    return lambda run: (first(run), creation_order(run))


def _created(run: Object) -> str:
    return str(run["metadata"].get("creationTimestamp") or "")


def run_duration(run: Object, now: float) -> float:
    """Seconds from the run's start to its end, or to `now` while it runs; -1 before its start.

    An end after `now` does not count yet, so that a list's pages, which share one `now`, agree with each other.
    """
    status = run.get("status") or {}
    start = parse_time(str(status.get("startTime") or ""))
    if start is None or start.timestamp() > now:
        return -1.0
    end = parse_time(str(status.get("completionTime") or ""))
    return (min(end.timestamp(), now) if end is not None else now) - start.timestamp()


def _encode_cursor(place: _PageCursor) -> str:
    text = json.dumps([place.order, place.now, place.key])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode_cursor(token: str, order: str) -> _PageCursor:
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        ordered, now, (value, created) = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if ordered in SORT_ORDERS and ordered != order:
            raise ApiProblemError("bad-request", f"the continue token belongs to a list with sort={ordered}")
        # The first value is a text or a number, never both.
        kind: Any = (int, float) if order.endswith("duration") else str
        sound = isinstance(now, int | float) and isinstance(value, kind) and ordered == order
        sound = sound and len(created) == len(_KEY_TYPES) and all(map(isinstance, created, _KEY_TYPES))
        datetime.fromtimestamp(now, UTC)
    except (ValueError, TypeError, OverflowError, OSError, binascii.Error, RecursionError):
        sound = False
    if not sound:
        raise ApiProblemError("bad-request", "the continue token is invalid")
    return _PageCursor(order, float(now), (value, tuple(created)))
