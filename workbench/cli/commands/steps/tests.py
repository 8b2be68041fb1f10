"""`c8s tests`: lists the tests of a run: those that failed first, with their histories."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.options import Target, open_client, output_option, run_async, target_options
from workbench.cli.output.console import CommandError, console_style, echo, echo_error, print_document, print_table
from workbench.text.format import format_duration
from workbench.text.sanitize import sanitize_line

if TYPE_CHECKING:
    from workbench.cli.output.console import ConsoleStyle
    from workbench.client import Client
    from workbench.client.test_results import TestHistory, TestReport, TestResult

_SHOWN_RUNS = 20
"""Outcomes in the column of a table."""
_MAX_DETAIL_LINES = 40


@click.command()
@click.argument("run")
@click.option("--failed", is_flag=True, help="Only the tests that failed, with their messages and differences.")
@click.option("--step", metavar="STEP", help="Only the tests of this step.")
@click.option("--flaky", is_flag=True, help="Only the tests that have failed and passed on the same inputs.")
@output_option
@target_options
def tests(target: Target, run: str, failed: bool, step: str | None, flaky: bool, output: str) -> None:
    """List the tests of RUN: those that failed first, with the outcomes in the last runs of the pipeline.

    A step whose `reports` name its results has tests. A test is flaky if it has failed and passed on
    the same inputs within the last 50 runs.

    \b
    Exit codes:
      0     the tests were listed, whatever their results
      1     the run, the step, or its tests do not exist

    \b
    Examples:
      c8s tests my-app-ci-12
      c8s tests my-app-ci-12 --failed
      c8s tests my-app-ci-12 --step unit-tests --output json
      c8s rerun my-app-ci-12 --failed-tests
    """
    run_async(_tests(target, run, step, failed, flaky, output))


async def _tests(target: Target, run: str, step: str | None, failed: bool, flaky: bool, output: str) -> None:
    from workbench.report.test_results import is_flaky, ordered

    async with open_client(target, start=False) as client:
        report = await client.list_tests(run, step=step, failed=failed)
        histories = await _histories(client, run, report)
    found = ordered(report.tests, histories)
    if flaky:
        found = [test for test in found if is_flaky(test, histories)]
    if output != "table":
        print_document(_document(report, found, histories), output)
        return
    if not report.steps:
        raise CommandError(
            f"run {run} has no tests{f' in step {step}' if step else ''}: a step needs `reports`, such as "
            "`reports: {junit: [junit.xml]}`"
        )
    style = console_style(sys.stdout)
    for each in report.steps:
        for warning in each.warnings:
            echo_error(f"warning: {each.name}: {warning}")
    if failed:
        _print_failures(found, histories, style)
    elif found:
        _print_table(report, found, histories, style)
    _print_summary(report, histories, style)


async def _histories(client: Client, run: str, report: TestReport) -> dict[str, TestHistory]:
    """The history of each step's tests; a step whose history can't be read has none."""
    from workbench.client.errors import ClientError

    async def read(slug: str) -> TestHistory | None:
        try:
            return await client.read_test_history(run, slug)
        except ClientError as error:
            echo_error(f"warning: {error}")
            return None

    slugs = [step.step for step in report.steps if step.total]
    found = await asyncio.gather(*(read(slug) for slug in slugs))
    return {slug: history for slug, history in zip(slugs, found, strict=True) if history is not None}


def _document(report: TestReport, found: list[TestResult], histories: dict[str, TestHistory]) -> dict[str, Any]:
    from workbench.report.test_results import history_of, is_flaky

    return {
        "steps": [asdict(step) for step in report.steps],
        "tests": [
            {
                **{name: value for name, value in asdict(test).items() if value not in (None, "")},
                "history": history_of(test, histories),
                "flaky": is_flaky(test, histories),
            }
            for test in found
        ],
    }


def _print_table(
    report: TestReport, found: list[TestResult], histories: dict[str, TestHistory], style: ConsoleStyle
) -> None:
    from workbench.report.test_results import display_name, history_of, history_signs, is_flaky

    several = len(report.steps) > 1
    rows = [
        (
            *((test.step,) if several else ()),
            test.outcome + (" (flaky)" if is_flaky(test, histories) else ""),
            format_duration(test.seconds) if test.seconds is not None else "",
            history_signs(history_of(test, histories), _SHOWN_RUNS),
            display_name(test),
        )
        for test in found
    ]
    print_table((*(("STEP",) if several else ()), "RESULT", "TIME", "LAST RUNS", "TEST"), rows, style)


def _print_failures(found: list[TestResult], histories: dict[str, TestHistory], style: ConsoleStyle) -> None:
    from workbench.cli.output.console import BOLD, RED
    from workbench.report.test_results import SIGNS, detail_lines, display_name, history_of, history_signs, is_flaky

    for test in found:
        sign, flaky = SIGNS.get(test.outcome, "?"), " (flaky)" if is_flaky(test, histories) else ""
        echo(style.paint(f"{sign} {sanitize_line(display_name(test), colour=False)}{flaky}", BOLD))
        where = [test.step]
        if test.file:
            where.append(f"{test.file}:{test.line}" if test.line else test.file)
        if letters := history_of(test, histories):
            where.append(history_signs(letters, _SHOWN_RUNS))
        echo(f"  {sanitize_line('   '.join(where), colour=False)}")
        lines = list(detail_lines(test))
        for line in lines[:_MAX_DETAIL_LINES]:
            text = f"    {sanitize_line(line.text, colour=False)}".rstrip()
            echo(style.paint(text, RED) if line.kind == "message" and text else text)
        if len(lines) > _MAX_DETAIL_LINES:
            echo(f"    … {len(lines) - _MAX_DETAIL_LINES} more lines: --output json has them")
        echo()


def _print_summary(report: TestReport, histories: dict[str, TestHistory], style: ConsoleStyle) -> None:
    from workbench.cli.output.console import DIM
    from workbench.report.test_results import summary_text

    flaky = sum(len(history.flaky) for history in histories.values())
    partial = [step.name for step in report.steps if step.partial]
    text = summary_text(report, flaky)
    if partial:
        text += f" (of {', '.join(partial)} only the tests that had failed were run)"
    echo(style.paint(sanitize_line(text, colour=False), DIM))
