"""`c8s up`, `down`, `status`, `kubeconfig`: the life of a sandbox."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.options import DEFAULT_SANDBOX, output_option, run_async, sandbox_option
from workbench.cli.output import message, print_document, say

if TYPE_CHECKING:
    from workbench.sandbox import SandboxStatus


def _named(name: str) -> str:
    return "" if name == DEFAULT_SANDBOX else f" --name {name}"


@click.command()
@sandbox_option
def up(name: str) -> None:
    """Start a sandbox and keep it running: a cluster and a controller, as two processes on this machine.

    It listens on 127.0.0.1 only. Steps run as you, without isolation, and their
    images are ignored. A sandbox that runs already is found, not started twice.

    \b
    Examples:
      c8s up
      c8s up --name experiment
      kubectl --kubeconfig "$(c8s kubeconfig)" get pipelineruns
    """
    from workbench.sandbox import Sandboxes

    endpoint = run_async(Sandboxes().up(name, message))
    say(f"sandbox {name} is ready: {endpoint.url}")


@click.command()
@sandbox_option
@click.option("--delete", is_flag=True, help="Also delete its runs, logs, artifacts and secrets.")
def down(name: str, delete: bool) -> None:
    """Stop a sandbox; no process of it is left. What it keeps is there again after `c8s up`, unless deleted.

    \b
    Examples:
      c8s down
      c8s down --name experiment --delete
    """
    from workbench.sandbox import Sandboxes

    ran = run_async(Sandboxes().down(name, delete=delete, progress=message))
    say(f"sandbox {name} " + ("is stopped" if ran else "was not running") + (" and deleted" if delete else ""))


@click.command()
@sandbox_option
@output_option
@click.pass_context
def status(ctx: click.Context, name: str, output: str) -> None:
    """Show how a sandbox is: its processes, addresses and logs. Exits 1 unless it runs well.

    \b
    Examples:
      c8s status
      c8s status -o json
    """
    from workbench.sandbox import Sandboxes

    found = run_async(Sandboxes().status(name))
    if output != "table":
        print_document(_plain(asdict(found)), output)
    else:
        _print_status(found)
    ctx.exit(0 if found.state == "running" else 1)


def _print_status(found: SandboxStatus) -> None:
    if found.state == "absent":
        say(f"sandbox {found.name}: there is none; `c8s up{_named(found.name)}` makes one")
        return
    until = " (until the last command that uses it ends)" if found.temporary else ""
    say(f"sandbox {found.name}: {found.state}{until}")
    rows = [("folder", str(found.folder))]
    if found.api_url:
        rows += [
            ("API", found.api_url),
            ("kubeconfig", str(found.kubeconfig)),
            ("started", str(found.started_at)),
            ("version", str(found.version)),
        ]
    for part in found.components:
        restarts = f", restarted {part.restarts} times" if part.restarts else ""
        rows.append((part.name, f"{part.detail}, pid {part.pid}{restarts}"))
        if not part.healthy:
            rows.append(("", f"log: {part.log}"))
    for key, value in rows:
        say(f"  {key:<11} {value}")
    if found.state == "stopped":
        say(f"start it with `c8s up{_named(found.name)}`")


@click.command()
@sandbox_option
def kubeconfig(name: str) -> None:
    """Print the path of the sandbox's kubeconfig, which kubectl takes.

    \b
    Example:
      kubectl --kubeconfig "$(c8s kubeconfig)" get pipelineruns
    """
    from workbench.sandbox import Sandboxes

    say(str(Sandboxes().kubeconfig(name)))


def _plain(value: Any) -> Any:
    """Paths as text, for JSON and YAML."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
