"""Printed diagnostics, tables and run events; all text is sanitized."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.workbench.client.fake_api import run_json, step_json
from workbench.cli.commands.runs import short_commit
from workbench.cli.output.console import ConsoleStyle, print_table
from workbench.cli.output.diagnostics import format_diagnostic, summarize
from workbench.cli.output.run_printer import LiveRow, RunPrinter
from workbench.cli.output.summary import summary_lines
from workbench.client.decode import decode_run
from workbench.client.models import Diagnostic
from workbench.logs.run_log import Line, StepTransition
from workbench.report.report import build_report
from workbench.text.format import format_age, format_duration
from workbench.text.width import cell_width

PLAIN = ConsoleStyle(colour=False, width=None)
NOW = datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)


def _problem(line: int = 2, column: int = 5, hint: str | None = None, severity: str = "error") -> Diagnostic:
    return Diagnostic(line, column, "steps[0]", severity, "x", "unknown field", hint)


def test_diagnostic_shows_position_line_and_caret() -> None:
    lines = format_diagnostic(".c8s.yaml", _problem(hint="did you mean `image`?"), ("a: 1", "    imag: x"), PLAIN)
    assert lines == [
        ".c8s.yaml:2:5: error: unknown field",
        "     2 |     imag: x",
        "       |     ^",
        "       = did you mean `image`?",
    ]


def test_diagnostic_without_line_names_its_path() -> None:
    assert format_diagnostic("f", _problem(0, 0), ("x",), PLAIN) == ["f: error: steps[0]: unknown field"]


@given(st.text(max_size=300), st.integers(0, 400), st.text(max_size=50))
def test_source_lines_are_sanitized(text: str, column: int, message: str) -> None:
    problem = Diagnostic(1, column, "", "error", "x", message, message)
    for line in format_diagnostic("f", problem, (text,), ConsoleStyle(colour=False, width=80)):
        assert not {unicodedata.category(character) for character in line} & {"Cc", "Cf", "Cs"}


def test_caret_is_aligned_below_wide_characters() -> None:
    lines = format_diagnostic("f", _problem(1, 3), ("漢字x",), PLAIN)
    assert lines[2].index("^") == len("       | ") + 4


def test_diagnostics_are_counted_by_severity() -> None:
    assert summarize([_problem(), _problem(), _problem(severity="warning")]) == "2 errors, 1 warning"
    assert summarize([]) == ""


def _report(*names: str) -> list[str]:
    steps = [step_json(name) for name in names]
    end = {"steps": steps, "summary": {"succeeded": len(steps)}, "completionTime": "2026-01-01T00:00:03Z"}
    return summary_lines(
        build_report(decode_run(run_json(phase="Succeeded", status=end)), NOW), ConsoleStyle(False, 60)
    )


@given(st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=5))
def test_table_fits_a_narrow_terminal(names: list[str]) -> None:
    lines = _report(*names)
    assert all(cell_width(line) <= 60 for line in lines[: len(names) + 2])


def test_narrow_table_omits_the_time_parts() -> None:
    assert [line.split() for line in _report("build")[1:3]] == [
        ["STEP", "STATUS", "TIME"],
        ["build", "Succeeded", "2.50s"],
    ]


def test_table_cells_are_sanitized(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("A", "B"), [("x\x1b[2J", "y\n\r")], PLAIN)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\r" not in out
    assert out.count("\n") == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0, "0.00s"), (9.99, "9.99s"), (9.999, "10.0s"), (59.99, "1m00s"), (3725, "1h02m"), (185, "3m05s")],
)
def test_format_duration(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


def test_ages_and_commits_are_abbreviated() -> None:
    assert [format_age(seconds) for seconds in (5, 65, 7200, 200_000)] == ["5s", "1m", "2h", "2d"]
    assert [short_commit(text) for text in ("0123456789", "0123456789-dirty", None)] == ["0123456", "0123456*", "-"]


def test_message_that_repeats_the_phase_is_shortened() -> None:
    note = StepTransition("ship", "ended", "skipped because unit-tests failed", "Skipped")
    assert RunPrinter(ConsoleStyle(colour=False, width=None)).lines([note]) == [
        "ship | -- skipped because unit-tests failed"
    ]


@pytest.mark.parametrize("container", [None, "svc-db"])
@pytest.mark.parametrize("length", [65_537, 1_048_576])
def test_a_long_line_is_printed_whole(length: int, container: str | None) -> None:
    printer = RunPrinter(ConsoleStyle(colour=False, width=None))
    [text] = printer.lines([Line("build", 1, None, "x" * length + "\x1b[m [c8s: 5 more bytes]", container)])
    assert text.endswith("x" * length + " [c8s: 5 more bytes]")


def test_unfinished_line_is_one_row_of_a_terminal() -> None:
    line = Line("build", 1, None, f"10%\r\x1b[31m{'漢' * 99}\x1b[2J", None)
    printer = RunPrinter(ConsoleStyle(colour=False, width=40))
    printer.update_steps(decode_run(run_json(status={"steps": [step_json("build", "Running")]})))
    text = printer.unfinished(line)
    assert text.startswith("build | 漢漢")
    assert cell_width(text) < 40
    assert printer.unfinished(None) == ""
    assert RunPrinter(PLAIN).unfinished(line) == "", "only what is on a terminal can be replaced"


def test_live_row_is_below_the_lines_and_replaced() -> None:
    row = LiveRow()
    assert row.text([], "") == ""
    assert row.text(["one"], "10%") == "one\n10%"
    assert row.text([], "10%") == ""
    assert row.text([], "20%") == "\r\x1b[K20%"
    assert row.text(["two", "three"], "20%") == "\r\x1b[Ktwo\nthree\n20%"
    assert row.text([], "") == "\r\x1b[K"
    assert row.text(["four"], "") == "four\n"
