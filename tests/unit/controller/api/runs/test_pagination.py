"""Which runs a list shows, in which order, and where its pages begin."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.http.problems import ApiProblemError
from controller.api.runs import pagination
from controller.api.runs.pagination import SORT_ORDERS, RunFilter
from tests.unit.controller.api.test_serializers import run

NOW = 1_767_225_700.0  # 2026-01-01T00:01:40Z


def page(runs: list[Any], wanted: RunFilter | None = None, **more: Any) -> pagination.Page:
    return pagination.paginate(runs, wanted or RunFilter(), **{"limit": 9, "after": None, "now": NOW, **more})


def names(found: list[Any]) -> list[str]:
    return [each["metadata"]["name"] for each in found]


def whole(runs: list[Any], order: str, limit: int) -> list[str]:
    found: list[str] = []
    token = None
    for step in range(99):
        # The clock goes on between the pages of one list.
        part = page(runs, order=order, limit=limit, after=token, now=NOW + step)
        assert len(part.items) <= limit
        found += names(part.items)
        token = part.next
        if token is None:
            return found
    raise AssertionError("the pages do not end")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 99)), unique=True, max_size=30), st.integers(1, 7))
def test_pages_together_are_the_whole_list_newest_first(keys: list[tuple[int, int]], limit: int) -> None:
    runs = [run(f"r{second}-{number}", f"2026-01-01T00:00:0{second}Z", str(number)) for second, number in keys]
    assert whole(runs, "-created", limit) == [f"r{second}-{number}" for second, number in sorted(keys, reverse=True)]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 9)), max_size=20),
    st.sampled_from(SORT_ORDERS),
    st.integers(1, 5),
)
def test_in_every_order_each_run_is_shown_once(times: list[tuple[int, int]], order: str, limit: int) -> None:
    runs = []
    for number, (start, took) in enumerate(times):
        status = {"startTime": f"2026-01-01T00:00:0{start}Z"}
        if took >= 0:
            status["completionTime"] = f"2026-01-01T00:00:{start + took:02}Z"
        runs.append(run(f"r{number:02}", number=str(number), **status))
    found = whole(runs, order, limit)
    assert sorted(found) == names(runs)
    if order == "name":
        assert found == sorted(found)
    if order == "-duration":
        took_of = {r["metadata"]["name"]: pagination.run_duration(r, NOW) for r in runs}
        assert [took_of[name] for name in found] == sorted(took_of.values(), reverse=True)


def test_run_that_ends_between_pages_is_shown_once() -> None:
    runs = [run(f"r{n}", startTime=f"2026-01-01T00:00:{10 * n:02}Z") for n in range(4)]
    first = page(runs, order="-duration", limit=2)
    runs[0]["status"]["completionTime"] = "2026-01-01T00:01:50Z"
    runs[3]["status"]["completionTime"] = "2026-01-01T00:01:50Z"
    second = page(runs, order="-duration", limit=2, after=first.next, now=NOW + 60)
    assert names([*first.items, *second.items]) == ["r0", "r1", "r2", "r3"]


def test_run_that_has_not_started_is_shortest() -> None:
    runs = [run("waits"), run("runs", startTime="2026-01-01T00:00:00Z")]
    assert names(page(runs, order="duration").items) == ["waits", "runs"]


def test_runs_that_are_created_meanwhile_shift_nothing() -> None:
    old = [run(f"r{n}", number=str(n)) for n in range(1, 5)]
    first = page(old, limit=2)
    second = page([run("r9", number="9"), *old], limit=2, after=first.next)
    assert names(second.items) == ["r2", "r1"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (RunFilter(phases=frozenset({"Failed"}), pipeline="app"), ["x"]),
        (RunFilter(phases=frozenset({"Pending"})), ["z"]),
        (RunFilter(pipeline="other"), []),
        (RunFilter(branch="main"), ["x"]),
        (RunFilter(text="MAI"), ["x"]),
        (RunFilter(text="ANN"), ["y"]),
        (RunFilter(text="c0ff"), ["z"]),
        (RunFilter(text="Z"), ["z"]),
        (RunFilter(text="nowhere"), []),
        (RunFilter(since=pagination.parse_time("2026-01-01T02:00:00+01:00")), ["y", "z"]),
        (RunFilter(since=pagination.parse_time("2026-01-01T01:00:01.9Z")), ["z"]),
    ],
)
def test_filters(wanted: RunFilter, found: list[str]) -> None:
    x = run("x", phase="Failed")
    y = run("y", created="2026-01-01T01:00:00Z", phase="Running")
    z = run("z", created="2026-01-01T01:00:01Z")
    x["spec"]["branch"], y["spec"]["triggeredBy"], z["spec"]["commit"] = "main", "Ann", "C0FFEE"
    assert names(page([x, y, z], wanted, order="name").items) == found


@given(st.text(max_size=60))
def test_a_token_that_was_not_given_is_refused(token: str) -> None:
    if token:
        with pytest.raises(ApiProblemError):
            page([run("x")], after=token)


@pytest.mark.parametrize(
    "place",
    [
        ["-created", NOW, [1, "", 1, "x"]],
        ["-created", "now", ["", "", 1, "x"]],
        ["-created", 1e300, ["", "", 1, "x"]],
        ["-created", NOW, ["", "", "1", "x"]],
        ["-created", NOW, []],
        ["name", NOW, ["", "", 1, "x"]],
        [None, NOW, ["", "", 1, "x"]],
        {"a": 1},
    ],
)
def test_a_token_of_another_shape_or_order_is_refused(place: Any) -> None:
    token = base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
    with pytest.raises(ApiProblemError):
        page([run("x")], after=token)


def test_a_token_of_one_order_does_not_fit_another() -> None:
    first = page([run("x"), run("y")], order="duration", limit=1)
    with pytest.raises(ApiProblemError, match="with sort=duration"):
        page([run("x")], order="-created", after=first.next)
