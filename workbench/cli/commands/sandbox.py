"""`c8s up`, `down`, `status` and `kubeconfig`: the lifecycle of a sandbox."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.cli.kind_options import kind_options
from workbench.cli.options import (
    DEFAULT_SANDBOX,
    is_interactive,
    output_option,
    resolve_sandbox,
    run_async,
    runtime_option,
    sandbox_option,
)
from workbench.cli.output.console import InputError, echo, echo_error, print_document
from workbench.text.format import plural
from workbench.text.sanitize import sanitize_line

if TYPE_CHECKING:
    from workbench.sandbox import Endpoint, SandboxStatus

_kind_flag = click.option("--kind", is_flag=True, help="Use the default kind sandbox if --name is not given.")


def _name_option(name: str) -> str:
    return "" if name == DEFAULT_SANDBOX else f" --name {name}"


@click.command()
@sandbox_option
@click.option("--kind", is_flag=True, help="Create a Kubernetes cluster with kind, in Docker or Podman.")
@runtime_option
@kind_options
@output_option
def up(name: str | None, kind: bool, runtime: str | None, dry_run: bool, output: str, **given: Any) -> None:
    """Start a sandbox and keep it running.

    Without --kind, it consists of two processes on this machine: an embedded cluster and the
    controller, which listen on 127.0.0.1 only. If Docker or Podman answers, steps run in their
    images; otherwise they run as your user without isolation, and their images are ignored
    (see --runtime). If the sandbox is already running, nothing is started.

    With --kind, it is a Kubernetes cluster in Docker with an object store and the controller;
    steps run in their images. Completed steps are not repeated, so that an interrupted
    `c8s up --kind` can be continued.

    \b
    Examples:
      c8s up
      c8s up --name experiment
      c8s up --runtime process
      c8s up --kind
      c8s up --kind --dry-run
      kubectl --kubeconfig "$(c8s kubeconfig)" get pipelineruns
    """
    if output != "table" and not dry_run:
        raise InputError(f"--output {output} requires --kind --dry-run")
    if kind:
        from workbench.cli.commands.kind import up_kind

        if runtime is not None:
            raise InputError("--runtime is for embedded sandboxes: steps of a kind cluster always run in their images")
        up_kind(resolve_sandbox(name, kind=True), dry_run, output, given)
        return
    if dry_run or any(given.values()):
        raise InputError("--dry-run and the options of a cluster require --kind")
    name = name or DEFAULT_SANDBOX
    endpoint = run_async(_up(name, runtime))
    echo(f"sandbox {name} is ready: {endpoint.url}")


async def _up(name: str, runtime: str | None) -> Endpoint:
    from workbench.sandbox import Sandboxes
    from workbench.sandbox.disk import report_full_disk, sandbox_disk

    async with report_full_disk(echo_error, sandbox_disk()):
        return await Sandboxes(runtime=runtime).up(name, echo_error)


@click.command()
@sandbox_option
@_kind_flag
@click.option("--delete", is_flag=True, help="Also delete its runs, logs, artifacts and secrets.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask for confirmation if runs are in progress.")
def down(name: str | None, kind: bool, delete: bool, yes: bool) -> None:
    """Stop a sandbox and all its processes. Its data is kept for the next `c8s up`, unless deleted.

    \b
    Examples:
      c8s down
      c8s down --name experiment --delete
    """
    from workbench.sandbox import Sandboxes, kind_sandbox

    sandboxes, name = Sandboxes(), resolve_sandbox(name, kind)
    folder = sandboxes.folder(name)
    if running := run_async(sandboxes.runs_in_progress(name)):
        action = "deletes" if delete else "interrupts"
        echo_error(f"warning: this {action} {plural(len(running), 'run')} in progress: {', '.join(running[:10])}")
        if kind_sandbox.is_cluster(folder) and is_interactive() and not yes:
            click.confirm("Continue?", abort=True)
    if not kind_sandbox.is_cluster(folder) and sandboxes.has_clients(name):
        echo_error(
            f"warning: a workbench or another command uses sandbox {name}; it waits until the sandbox is up again"
        )
    ran = run_async(sandboxes.down(name, delete=delete, progress=echo_error))
    echo(f"sandbox {name} " + ("is stopped" if ran else "was not running") + (" and deleted" if delete else ""))


@click.command()
@sandbox_option
@_kind_flag
@output_option
@click.pass_context
def status(ctx: click.Context, name: str | None, kind: bool, output: str) -> None:
    """Show sandbox status: components, addresses and logs. Exits 1 if it is not running or unhealthy.

    \b
    Examples:
      c8s status
      c8s status -o json
    """
    from workbench.sandbox import Sandboxes

    found = run_async(Sandboxes().status(resolve_sandbox(name, kind)))
    if output != "table":
        print_document(_plain(asdict(found)), output)
    else:
        _print_status(found)
    ctx.exit(0 if found.state == "running" else 1)


def _print_status(found: SandboxStatus) -> None:
    if found.state == "absent":
        echo(f"sandbox {found.name} does not exist; create it with `c8s up{_name_option(found.name)}`")
        return
    until = " (stops with the last command that uses it)" if found.temporary else ""
    echo(f"sandbox {found.name}: {found.state}{until}")
    rows = [("problem", found.problem)] if found.problem else []
    rows += [("folder", str(found.folder))]
    if found.steps:
        rows += [("runtime", found.steps)]
    known = (("started", found.started_at), ("version", found.version))
    if found.api_url:
        rows += [("API", found.api_url), ("kubeconfig", str(found.kubeconfig))]
        rows += [(key, value) for key, value in known if value]
    for part in found.components:
        restarts = f", restarted {plural(part.restarts, 'time')}" if part.restarts else ""
        process = f", pid {part.pid}{restarts}" if part.pid is not None else ""
        rows.append(
            (
                part.name,
                ("" if part.healthy or part.pid else "unhealthy: ")
                + sanitize_line(part.detail, colour=False)
                + process,
            )
        )
        if not part.healthy and part.log.is_file():
            rows.append(("", f"log: {part.log}"))
    for key, value in rows:
        echo(f"  {key:<12} {value}")
    if found.state == "stopped":
        kind = " --kind" if found.components else ""
        echo(f"start it with `c8s up{kind}{_name_option(found.name)}`")


@click.command()
@sandbox_option
@_kind_flag
def kubeconfig(name: str | None, kind: bool) -> None:
    """Print the path of the sandbox's kubeconfig, for kubectl.

    \b
    Example:
      kubectl --kubeconfig "$(c8s kubeconfig)" get pipelineruns
    """
    from workbench.sandbox import Sandboxes

    echo(str(Sandboxes().kubeconfig(resolve_sandbox(name, kind))))


def _plain(value: Any) -> Any:
    """Convert paths to text, for JSON and YAML."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
