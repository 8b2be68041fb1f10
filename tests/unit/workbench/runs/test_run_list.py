"""The list of runs is what the watch tells, newest first."""

from __future__ import annotations

from dataclasses import replace

from tests.tui.fakes import hello
from workbench.client import CopyOf, RunChanged, RunDeleted, RunsListed
from workbench.runs.run_list import RunList


def test_runs_come_newest_first_however_they_are_told() -> None:
    runs = RunList()
    runs.apply(RunsListed((hello(1, created_ago=50), hello(3, created_ago=10))))
    runs.apply(RunChanged(hello(2, created_ago=30)))
    assert [run.name for run in runs.newest] == ["hello-3", "hello-2", "hello-1"]


def test_copies_of_failed_steps_are_known_and_not_listed() -> None:
    runs, copy = RunList(), replace(hello(4), copy_of=CopyOf("hello-3", "greet", 1))
    runs.apply(RunsListed((hello(3), copy)))
    assert [run.name for run in runs.newest] == ["hello-3"]
    assert runs.get("hello-4") is copy


def test_nothing_is_known_before_the_first_list() -> None:
    assert not RunList().loaded


def test_a_whole_list_replaces_what_was_known() -> None:
    runs = RunList()
    runs.apply(RunsListed((hello(1),)))
    runs.apply(RunsListed((hello(2),)))
    assert [run.name for run in runs.newest] == ["hello-2"]


def test_a_deleted_run_is_gone_and_deleting_it_twice_is_no_harm() -> None:
    runs = RunList()
    runs.apply(RunsListed((hello(1),)))
    for _ in range(2):
        runs.apply(RunDeleted(hello(1)))
    assert len(runs) == 0


def test_something_runs_until_all_have_ended() -> None:
    runs = RunList()
    runs.apply(RunsListed((hello(1), hello(2, "Running"))))
    assert runs.active
    runs.apply(RunChanged(hello(2)))
    assert not runs.active
