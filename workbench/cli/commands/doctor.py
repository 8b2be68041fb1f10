"""`c8s doctor`: checks of this machine, and repairs of what can be repaired."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from workbench.cli.kind_options import provider_option
from workbench.cli.options import is_interactive, output_option, run_async
from workbench.cli.output.console import (
    GREEN,
    RED,
    YELLOW,
    InputError,
    console_style,
    echo,
    echo_error,
    print_document,
)
from workbench.text.sanitize import sanitize_line

if TYPE_CHECKING:
    from kind.doctor.finding import Finding
    from kind.doctor.repair import Repair, RepairFinder

LISTED_ONLY = 3
"""The exit code if there are repairs that nobody was asked about."""
_LEVELS = {"ok": GREEN, "warning": YELLOW, "error": RED}


@click.command()
@click.option("--fix", is_flag=True, help="Repair what can be repaired, one command at a time.")
@click.option("--yes", "-y", is_flag=True, help="With --fix: do not ask before each command.")
@provider_option
@output_option
@click.pass_context
def doctor(ctx: click.Context, fix: bool, yes: bool, provider: str | None, output: str) -> None:
    """Check this machine for problems with clusters. Exits 1 if there is an error.

    Each check prints what was found, why it matters and what to do. Nothing is changed without
    --fix, which shows each command and asks before it runs it. Without a terminal and without
    --yes, it only lists the commands and exits 3.

    \b
    Examples:
      c8s doctor
      c8s doctor --fix
      c8s doctor --output json
    """
    if yes and not fix:
        raise InputError("--yes requires --fix")
    if fix and output != "table":
        raise InputError(f"--fix prints no {output}; leave --output out")
    findings = _check(provider)
    if output != "table":
        from kind.doctor.checks import to_dicts

        print_document(to_dicts(findings), output)
    else:
        _print_findings(findings)
    code = 1 if any(each.level == "error" for each in findings) else 0
    ctx.exit(_fix(code, provider, yes=yes) if fix else code)


def _check(provider: str | None) -> list[Finding]:
    from kind.doctor.checks import run_checks
    from kind.image.build import BASE_IMAGE
    from kind.image.digests import DIGESTS_FILE
    from kind.tools.kind_cli import NODE_IMAGE
    from workbench.sandbox.engine_check import check_engines
    from workbench.sandbox.paths import state_root

    images = (os.environ.get("C8S_KIND_IMAGE") or NODE_IMAGE, BASE_IMAGE)
    checks = run_checks(digests=state_root() / DIGESTS_FILE, images=images, provider=provider or "")
    return [*check_engines(), *run_async(checks)]


def _print_findings(findings: Sequence[Finding]) -> None:
    style = console_style(sys.stdout)
    for each in findings:
        mark = {"ok": "ok", "warning": "warn", "error": "ERROR"}[each.level]
        level = style.paint(f"{mark:<5}", _LEVELS[each.level])
        echo(f"{level} {each.check:<12} {sanitize_line(each.found, colour=False)}")
        if each.level != "ok":
            echo(f"{'':18} {each.why}")
            echo(f"{'':18} {sanitize_line(each.remedy, colour=False)}")


def _fix(code: int, provider: str | None, *, yes: bool) -> int:
    """Repair what can be repaired, and check again; the exit code. `code`: that of the first checks."""
    finder = _finder()
    repairs = _find(finder)
    echo("")
    if not repairs:
        echo("nothing that can be repaired was found")
        return code
    asks = is_interactive()
    ran, failed = 0, False
    for each in repairs:
        echo(f"{each.check}: {sanitize_line(each.problem, colour=False)}")
        echo(f"  $ {sanitize_line(each.line, colour=False)}" + ("" if each.command else "   (run it yourself)"))
        if not each.command or not (yes or (asks and click.confirm("  Run it?", default=False))):
            continue
        problem = run_async(finder.apply(each))
        ran, failed = ran + 1, failed or problem is not None
        echo("  done" if problem is None else f"  failed: {sanitize_line(' '.join(problem.split()), colour=False)}")
    if not (yes or asks):
        echo_error("nothing was run: use --yes, or a terminal, to run these commands")
        return LISTED_ONLY
    if not ran:
        return code
    left = _find(finder)
    echo("")
    echo("checked again: " + ("nothing is left to repair" if not left else f"{len(left)} of {len(repairs)} are left"))
    for each in left:
        echo(f"  {each.check}: {sanitize_line(each.problem, colour=False)}")
    errors = [each for each in _check(provider) if each.level == "error"]
    _print_findings(errors)
    return 1 if failed or errors else 0


def _finder() -> RepairFinder:
    from kind.doctor.repair import RepairFinder

    return RepairFinder(own_command=(sys.executable, "-P", "-m", "workbench"), is_root=os.geteuid() == 0)


def _find(finder: RepairFinder) -> list[Repair]:
    from kind.doctor.host import inspect_host
    from workbench.sandbox.kind_sandbox import recorded_clusters

    return run_async(finder.find(recorded_clusters(), inspect_host(None, ports={})))
