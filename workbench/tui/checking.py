"""Checks a pipeline file with the rules of the controller, without asking one."""

from __future__ import annotations

from workbench.tui.ports import Checked, Finding


def check(data: bytes) -> Checked:
    """What lint says of these bytes. Never raises, whatever they are."""
    from controller.pipeline.lint import lint

    result = lint(data)
    findings = tuple(
        Finding(problem.line or 0, problem.column or 0, problem.severity, problem.message, problem.hint or None)
        for problem in result.problems
    )
    return Checked(findings, result.pipeline)
