"""The part of the summary about reused steps."""

from workbench.cli.output.console import ConsoleStyle
from workbench.cli.output.reuse import reuse_lines
from workbench.report.reuse import ReuseCount
from workbench.runs.reuse_explanation import ReuseExplanation

PLAIN = ConsoleStyle(colour=False, width=None)
COUNT = ReuseCount("hello-7", 11, 12, 41.0)


def test_reused_steps_and_reasons_of_others_are_listed() -> None:
    found = ReuseExplanation(COUNT, {"test": ("image a → b", "upstream build ran again")})
    assert reuse_lines(found, PLAIN) == [
        "",
        "11 of 12 reused, saved 41.0s (hello-7)",
        "  test ran again: image a → b; upstream build ran again",
    ]


def test_many_reasons_are_counted() -> None:
    lines = reuse_lines(ReuseExplanation(COUNT, {f"s{at}": ("x",) for at in range(25)}), PLAIN)
    assert lines[-1] == "  and 5 more steps"


def test_missing_earlier_run_is_reported() -> None:
    lines = reuse_lines(ReuseExplanation(COUNT, problem="there is no run hello-7"), PLAIN)
    assert lines[-1] == "  why steps ran again is not known: there is no run hello-7"
