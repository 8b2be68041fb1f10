"""The list of runs follows the watch, newest first."""

from __future__ import annotations

from dataclasses import replace

from tests.support.tui.fakes import hello
from workbench.client import CopyOf, RunChanged, RunDeleted, RunsListed
from workbench.runs.run_list import RunList


def test_runs_are_sorted_newest_first() -> None:
    runs = RunList()
    runs.apply(RunsListed((hello(1, created_ago=50), hello(3, created_ago=10))))
    runs.apply(RunChanged(hello(2, created_ago=30)))
    assert [run.name for run in runs.newest] == ["hello-3", "hello-2", "hello-1"]


def test_debug_runs_are_known_but_not_listed() -> None:
    runs, copy = RunList(), replace(hello(4), copy_of=CopyOf("hello-3", "greet", 1))
    runs.apply(RunsListed((hello(3), copy)))
    assert [run.name for run in runs.newest] == ["hello-3"]
    assert runs.get("hello-4") is copy


def test_list_is_not_loaded_initially() -> None:
    assert not RunList().loaded


def test_new_list_replaces_the_old_one() -> None:
    runs = RunList()
    runs.apply(RunsListed((hello(1),)))
    runs.apply(RunsListed((hello(2),)))
    assert [run.name for run in runs.newest] == ["hello-2"]


def test_deleting_a_run_is_idempotent() -> None:
    runs = RunList()
    runs.apply(RunsListed((hello(1),)))
    for _ in range(2):
        runs.apply(RunDeleted(hello(1)))
    assert len(runs) == 0


def test_list_is_active_until_all_runs_end() -> None:
    runs = RunList()
    runs.apply(RunsListed((hello(1), hello(2, "Running"))))
    assert runs.active
    runs.apply(RunChanged(hello(2)))
    assert not runs.active
