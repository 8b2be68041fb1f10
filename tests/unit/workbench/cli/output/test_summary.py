"""The commands that the summary of a run suggests."""

from workbench.cli.output.console import ConsoleStyle
from workbench.cli.output.summary import summary_lines
from workbench.report.report import Failure, RunReport

LINT = Failure("lint", "lint", "exit code 1", None, None, allowed=True, has_workspace=True)
TEST = Failure("test", "test", "exit code 2", None, None, allowed=False, has_workspace=True)


def suggested(phase: str, *failures: Failure, hint: str | None = "") -> list[str]:
    report = RunReport("ci-1", phase, None, 1.0, (), failures, (("failed", len(failures)),))
    lines = summary_lines(report, ConsoleStyle(colour=False, width=None), hint=hint)
    return [line for line in lines if "c8s " in line]


def test_suggestions_name_the_step_that_failed_the_run() -> None:
    assert suggested("Failed", LINT, TEST) == [
        "see more: c8s logs ci-1 test",
        "enter its workspace: c8s shell ci-1 test",
    ]


def test_nothing_is_suggested_after_a_success() -> None:
    assert suggested("Succeeded", LINT) == []


def test_a_run_without_a_failed_step_refers_to_all_logs() -> None:
    assert suggested("Cancelled", LINT) == ["see more: c8s logs ci-1"]


def test_nothing_is_suggested_for_a_run_that_is_not_kept() -> None:
    assert suggested("Failed", TEST, hint=None) == []
