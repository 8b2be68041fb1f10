"""The filter language of the list of runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.run_query import FIELDS, parse_query
from tests.support.tui.fakes import NOW, hello, run
from workbench.runs.run_filter import RunFilter

RUNS = [
    hello(1, "Succeeded", created_ago=30),
    hello(2, "Failed", branch="release/1", created_ago=3_000),
    replace(run("shop-3", "Cancelled", [], created_ago=90_000, duration=200), created_by="alice", event="tag"),
    run("shop-4", "Running", [], created_ago=100, branch="main-2"),
]


def selected(text: str) -> list[int]:
    assert parse_query(text).problems == ()
    return sorted(each.number for each in RunFilter(text).apply(RUNS, NOW))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [1, 2, 3, 4]),
        ("hello", [1, 2]),
        ("hello failed", [2]),
        ("!hello", [3, 4]),
        ("status:failed", [2]),
        ("STATUS:Failed", [2]),
        ("status:fail", [2]),
        ("status:failed,cancelled", [2, 3]),
        ("!status:failed", [1, 3, 4]),
        ("status:passed", [1]),
        ("branch:main", [1, 3]),
        ("branch:main*", [1, 3, 4]),
        ("branch:release/*", [2]),
        ("pipeline:shop", [3, 4]),
        ("pipeline:s*", [3, 4]),
        ("event:tag", [3]),
        ("by:ali", [3]),
        ("name:p-4", [4]),
        ("status:r", [4]),
        ("status:p", []),
        ("age<1m", [1]),
        ("age < 1m", [1]),
        ("!age <1h hello", []),
        ("age<1h", [1, 2, 4]),
        ("age>1d", [3]),
        ("age<=30s", [1]),
        ("!age<1h", [3]),
        ("duration>3m", [3]),
        ("duration<1m30s", [1, 2]),
        ("status:running pipeline:shop age<2m", [4]),
        ("!", [1, 2, 3, 4]),
    ],
)
def test_terms_select_runs(text: str, numbers: list[int]) -> None:
    assert selected(text) == numbers


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("stauts:failed", "there is no field 'stauts'; did you mean status?"),
        ("zzz:1", "there is no field 'zzz'; there are status, name, "),
        ("status:odd", "there is no status 'odd'; there are pending, queued, running, succeeded, failed, cancelled"),
        ("status:faild", "there is no status 'faild'; did you mean status:failed?"),
        (f"status:{'x' * 5000}", f"there is no status '{'x' * 30}…'; there are pending"),
        ("watch:", "watch: needs a value, as in watch:yes"),
        ("watch<1h", "watch is written with a colon, as in watch:yes"),
        ("age<1x", "age needs a time with a unit (s, m, h or d), as in age<90s or age>1h30m"),
        ("status:", "status: needs a value, as in status:failed"),
        ("branch:", "branch: needs a value, as in branch:main"),
        ("age<", "age needs a time with a unit (s, m, h or d), as in age<90s or age>1h30m"),
        ("age<5", "age needs a time with a unit"),
        ("age:5m", "age is compared with < or >, as in age<1h"),
        ("age=5m", "age is compared with < or >, as in age<1h"),
        ("status=failed", "status is written with a colon, as in status:failed"),
        ("size>5m", "there is no field 'size'"),
    ],
)
def test_errors_are_reported_and_ignored(text: str, problem: str) -> None:
    (found,) = parse_query(f"hello {text}").problems
    assert found.startswith(problem)
    assert [each.number for each in RunFilter(f"hello {text}").apply(RUNS, NOW)] == [1, 2]


@pytest.mark.parametrize("name", [*FIELDS, "size", ""])
@pytest.mark.parametrize(
    "rest", ["", ":", ":,", ":*", ":x", "::", "<", "<=", "=", "=x", ">1x", "<1h", "< 1h", ":[", ":\u202e"]
)
def test_whatever_is_typed_is_a_filter_or_has_one_problem(name: str, rest: str) -> None:
    query = parse_query(f"{name}{rest}")
    assert len(query.problems) <= 1
    assert all(query.matches(each, NOW) in (True, False) for each in RUNS)


def test_runs_that_have_not_started_have_no_duration() -> None:
    waiting = replace(RUNS[0], created_at=None, start_time=None, completion_time=None)
    assert RunFilter("duration<1h").apply([waiting], NOW) == []
    assert RunFilter("age<1h").apply([waiting], NOW) == []
