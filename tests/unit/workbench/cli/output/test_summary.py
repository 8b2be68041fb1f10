"""The commands that the summary of a run suggests."""

from workbench.cli.output.console import RED, YELLOW, ConsoleStyle
from workbench.cli.output.summary import summary_lines
from workbench.report.report import Failure, RunReport, StepReport

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


def test_summary_of_a_late_run_says_so_in_colours() -> None:
    steps = (StepReport("build", "build", "Cancelled", 1, 1.0, {}),)
    message = "the run took too long; 1 step was stopped or did not begin"
    report = RunReport("ci-1", "Failed", message, 1.0, steps, (), (("cancelled", 1),), "Timeout")
    lines = summary_lines(report, ConsoleStyle(colour=True, width=None))
    assert f"\x1b[{YELLOW}mCancelled\x1b[0m" in lines[2]
    assert message in lines
    assert f"run ci-1 \x1b[{RED}mfailed\x1b[0m in 1.00s: 1 step, 1 cancelled" in lines


def test_step_whose_pod_waits_says_so() -> None:
    steps = (StepReport("deploy", "deploy", "Pending", 0, None, {}, is_at_gate=True),)
    report = RunReport("ci-1", "Running", None, 1.0, steps, (), (("pending", 1),))
    assert "deploy  Pending (at its gate)" in summary_lines(report, ConsoleStyle(colour=False, width=None))[2]


def test_nothing_is_suggested_for_a_run_that_is_not_kept() -> None:
    assert suggested("Failed", TEST, hint=None) == []
