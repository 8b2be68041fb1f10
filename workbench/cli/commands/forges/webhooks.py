"""`c8s webhooks`: the deliveries of forges, and what came of each. `c8s approve`: runs of strangers' pull requests."""

from __future__ import annotations

import re

import click

from workbench.cli.options import Target, open_client, output_option, run_async, target_options
from workbench.cli.output.console import CommandError, InputError, echo_error, print_list


@click.group()
def webhooks() -> None:
    """List the deliveries of forges, and handle one again.

    \b
    Examples:
      c8s webhooks list                what came in, and why a pipeline did or did not start
      c8s webhooks replay ID           decide again, with the pipelines as they are now
    """


@webhooks.command("list")
@click.option("--connection", metavar="NAME", help="Only deliveries to this connection.")
@output_option
@target_options
def list_(target: Target, connection: str | None, output: str) -> None:
    """List the last 20 deliveries of each connection, newest first."""
    run_async(_list(target, connection, output))


async def _list(target: Target, connection: str | None, output: str) -> None:
    async with open_client(target, start=False) as client:
        found = await client.connections() if connection is None else (await client.connection(connection),)
    deliveries = sorted((each for one in found for each in one.deliveries), key=lambda each: each.time, reverse=True)
    documents = [
        {
            "connection": each.connection,
            "id": each.id,
            "time": each.time,
            "event": each.event,
            "about": each.about,
            "commit": each.commit,
            "outcome": each.outcome,
            "reason": each.reason,
            "replayed": each.replayed,
            "runs": [{"name": run.name, "phase": run.phase, "message": run.message} for run in each.runs],
        }
        for each in deliveries
    ]
    rows = [
        (
            each.time[:19].replace("T", " "),
            each.connection,
            each.about or each.event,
            each.outcome,
            each.id,
            each.explain(),
        )
        for each in deliveries
    ]
    header = ("TIME", "CONNECTION", "EVENT", "OUTCOME", "ID", "WHY")
    print_list(documents, output, header, rows, "no deliveries yet")


@webhooks.command("replay")
@click.argument("delivery")
@click.option("--connection", metavar="NAME", help="The connection.  [default: the one that has the delivery]")
@target_options
@click.pass_context
def replay(ctx: click.Context, /, target: Target, delivery: str, connection: str | None) -> None:
    """Handle the delivery with this ID again. Exits with 1 if it starts no run."""
    ctx.exit(run_async(_replay(target, delivery, connection)))


async def _replay(target: Target, delivery: str, connection: str | None) -> int:
    from workbench.cli.output.deliveries import print_outcome

    async with open_client(target, start=False) as client:
        if connection is None:
            found = [each.name for each in await client.connections() if delivery in {d.id for d in each.deliveries}]
            if len(found) != 1:
                what = "several connections have" if found else "no connection has"
                raise CommandError(f"{what} a delivery {delivery}; see `c8s webhooks list`")
            connection = found[0]
        return print_outcome(await client.replay(connection, delivery), f"delivery {delivery}")


@click.command()
@click.argument("run")
@click.option("--commit", metavar="SHA", help="Only if the run is of this commit.  [default: of any]")
@target_options
def approve(target: Target, run: str, commit: str | None) -> None:
    """Let RUN, of a pull request from a fork, start.

    Look at its changes before: it runs what strangers have written. It gets no secrets, and
    saves no caches. The approval is for this run and its commit only, and holds for a day.

    \b
    Example:
      c8s runs                              its state is Queued, waiting for an approval
      c8s approve my-app-3f9d0c1be2a44f17
    """
    if commit is not None and re.fullmatch("[0-9a-fA-F]{7,64}", commit) is None:
        raise InputError(f"--commit {commit}: expected 7 to 64 hexadecimal digits")
    approved = run_async(_approve(target, run, commit))
    echo_error(f"run {run} is approved, of commit {approved}")


async def _approve(target: Target, run: str, commit: str | None) -> str:
    async with open_client(target, start=False) as client:
        found = await client.approve(run, commit.lower() if commit is not None else None)
    return found.commit or ""
