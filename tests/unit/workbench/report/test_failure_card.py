"""What the card of a failed step says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.tui.fakes import NOW, run, step
from workbench.client.models import FirstFailure, Run, StepCommand
from workbench.report.compare import Difference
from workbench.report.failure_card import (
    CardLine,
    Evidence,
    FailedCommand,
    LogTail,
    UnalignedError,
    commit_of,
    compare_tails,
    complete_card,
    context_lines,
    fit_lines,
    initial_card,
    last_success,
)
from workbench.submit.changes import FileChange

FAILURE = FirstFailure(4, "boom")
FAILED = step("test", (), "Failed", message="exit code 1", first_failure=FAILURE)


def shop(number: int, phase: str = "Succeeded", pipeline: str = "shop") -> Run:
    return run(f"{pipeline}-{number}", phase, [step("test", (), phase)])


def test_last_success_is_the_newest_earlier_one() -> None:
    runs = [shop(3), shop(5), shop(7, "Failed"), shop(9), shop(6, pipeline="other")]
    found = last_success(runs, shop(8, "Failed"), FAILED)
    assert found is not None
    assert found.name == "shop-5"


def test_success_of_the_step_counts_in_a_failed_run() -> None:
    mixed = run("shop-6", "Failed", [step("test", (), "Succeeded"), step("deploy", (), "Failed")])
    found = last_success([shop(5), mixed], shop(8, "Failed"), FAILED)
    assert found is mixed


def test_first_run_has_no_earlier_success() -> None:
    assert last_success([shop(8, "Failed"), shop(9)], shop(8, "Failed"), FAILED) is None


def test_initial_card_says_what_the_run_says() -> None:
    card = initial_card(run("shop-8", "Failed", [FAILED]), FAILED)
    assert (card.message, card.exit_code, card.lines) == ("exit code 1", 1, (CardLine(4, "boom", failing=True),))
    assert card.loading


def test_last_command_is_the_one_that_failed() -> None:
    commands = (
        StepCommand(0, "make", 1, NOW, NOW + timedelta(seconds=2), 0),
        StepCommand(1, "make test\nmake more", 3, NOW, NOW + timedelta(seconds=5), 2),
    )
    card = complete_card(run("shop-8", "Failed", [FAILED]), FAILED, None, Evidence(commands=commands))
    assert card.command == FailedCommand("make test …", 5.0, 2)
    assert not card.loading


def test_single_command_is_taken_from_the_definition() -> None:
    failed = step("test (os=linux)", (), "Failed", duration=3)
    defined = {"steps": [{"name": "test", "commands": ["make test"]}]}
    made = replace(run("shop-8", "Failed", [failed]), definition=defined)
    assert initial_card(made, failed).command == FailedCommand("make test", 3.0, 1)


def test_command_is_unknown_without_a_definition() -> None:
    assert initial_card(run("shop-8", "Failed", [FAILED]), FAILED).command is None


def test_context_surrounds_the_failing_line() -> None:
    log = LogTail(1, tuple(f"line {n}" for n in range(1, 21)))
    lines = context_lines(log, FirstFailure(10, "line 10"))
    assert [line.number for line in lines] == [8, 9, 10, 11, 12, 13, 14]
    assert [line.number for line in lines if line.failing] == [10]


def test_failing_line_outside_of_the_tail_is_still_shown() -> None:
    assert context_lines(LogTail(100, ("a", "b")), FAILURE) == (CardLine(4, "boom", failing=True),)


def test_last_lines_are_shown_without_a_failing_line() -> None:
    log = LogTail(1, ("a", "b", "", "c", "d", "e", "f", ""))
    assert [line.text for line in context_lines(log, None)] == ["b", "c", "d", "e", "f"]


@pytest.mark.parametrize(
    ("rows", "numbers"),
    [(0, []), (1, [3]), (2, [3, 4]), (3, [2, 3, 4]), (5, [1, 2, 3, 4, 5]), (9, [1, 2, 3, 4, 5, 6])],
)
def test_lines_nearest_to_the_failure_are_kept(rows: int, numbers: list[int]) -> None:
    lines = [CardLine(n, "", failing=n == 3) for n in range(1, 7)]
    assert [line.number for line in fit_lines(lines, rows)] == numbers


def test_lines_without_a_failing_one_end_with_the_last() -> None:
    lines = [CardLine(n, "") for n in range(1, 5)]
    assert [line.number for line in fit_lines(lines, 2)] == [3, 4]


def test_no_lines_fit_anywhere() -> None:
    assert fit_lines([], 3) == ()


def test_whole_logs_are_compared_from_their_start() -> None:
    found = compare_tails(LogTail(1, ("took 1 s", "ok")), LogTail(1, ("took 2 s", "not ok")))
    assert found == Difference(2, "ok", "not ok")


def test_long_logs_are_compared_after_a_common_line() -> None:
    green = LogTail(501, ("noise", "noise", "begin", "a", "b"))
    failed = LogTail(900, ("noise", "begin", "a", "x"))
    assert compare_tails(green, failed) == Difference(903, "b", "x")


def test_long_logs_without_a_common_line_are_not_compared() -> None:
    with pytest.raises(UnalignedError, match="too long"):
        compare_tails(LogTail(9, ("a", "a")), LogTail(9, ("a", "b")))


def test_baseline_has_difference_and_changes() -> None:
    failed, green = run("shop-8", "Failed", [FAILED]), shop(5)
    evidence = Evidence(
        log=LogTail(1, ("a", "boom")),
        green_log=LogTail(1, ("a", "fine")),
        changed_files=(FileChange("M", "src/a.py"),),
    )
    baseline = complete_card(failed, FAILED, green, evidence).baseline
    assert baseline is not None
    assert (baseline.run, baseline.difference) == ("shop-5", Difference(2, "fine", "boom"))
    assert baseline.changes is not None
    assert (baseline.changes.files, baseline.changes.uncommitted) == ((FileChange("M", "src/a.py"),), True)


def test_changes_are_unknown_without_commits() -> None:
    baseline = complete_card(run("shop-8", "Failed", [FAILED]), FAILED, shop(5), Evidence()).baseline
    assert baseline is not None
    assert baseline.changes is None


@pytest.mark.parametrize(
    ("commit", "sha"),
    [("1a2b3c4d5e-dirty", "1a2b3c4d5e"), ("0" * 40, "0" * 40), (None, None), ("-x", None), ("main", None)],
)
def test_commit_is_read_without_its_mark(commit: str | None, sha: str | None) -> None:
    assert commit_of(replace(shop(1), commit=commit)) == sha
