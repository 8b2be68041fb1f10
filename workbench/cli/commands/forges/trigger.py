"""`c8s trigger`: the events of a forge without a forge, to see which runs they start and why not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from workbench.cli.options import Target, open_client, run_async, target_options
from workbench.cli.output.console import CommandError, InputError, console_style, echo_error
from workbench.text.format import plural

if TYPE_CHECKING:
    from controller.pipeline.match import EventKind
    from workbench.submit.event import LocalEvent

_MAX_PAYLOAD = 1_500_000
_PROVIDERS = ("github", "gitlab", "bitbucket", "bitbucket-server", "gitea")


@click.command()
@click.argument("file", required=False)
@click.option(
    "--event",
    type=click.Choice(["push", "pull_request", "tag"]),
    default="push",
    show_default=True,
    help="What has happened.",
)
@click.option("--branch", metavar="NAME", help="The pushed branch, or the one that a pull request is merged into.")
@click.option("--tag", metavar="NAME", help="The tag.  [default: that of the checked-out commit]")
@click.option("--base", metavar="REV", help="Compare with REV for the changed files.  [default: the remote's branch]")
@click.option("--dry-run", is_flag=True, help="Only say whether it would run, and why not.")
@click.option("--payload", type=click.Path(dir_okay=False, path_type=Path), help="Deliver this payload of a forge.")
@click.option("--provider", type=click.Choice(_PROVIDERS), help="The forge of --payload.")
@click.option("--connection", metavar="NAME", help="The connection of --payload.  [default: the only one of the forge]")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header of --payload.")
@target_options
@click.pass_context
def trigger(ctx: click.Context, /, target: Target, file: str | None, **given: Any) -> None:
    """Run what a push, a tag or a pull request would run, or say why it runs nothing.

    The event is one of the repository around you, with your uncommitted changes: FILE (by
    default .c8s.yaml) is compared with the event, its branch and the changed files. With
    --payload, a delivery of a forge goes through the receiver of the controller instead.
    Exits with 1 if nothing runs.

    \b
    Examples:
      c8s trigger --event push --branch main
      c8s trigger --event pull_request --branch main --dry-run
      c8s trigger --event tag --tag v1.2
      c8s trigger --payload delivery.json --provider github
    """
    if given["payload"] is not None:
        ctx.exit(run_async(_deliver(target, given)))
    for option in ("provider", "connection", "headers"):
        if given[option]:
            raise click.UsageError(f"--{option.removesuffix('s')} requires --payload")
    if given["tag"] and given["event"] != "tag":
        raise click.UsageError("--tag requires --event tag")
    if given["event"] == "tag" and (given["branch"] or given["base"]):
        raise click.UsageError("a tag has neither --branch nor --base")
    ctx.exit(_run_locally(target, file, given))


def _run_locally(target: Target, file: str | None, given: dict[str, Any]) -> int:
    from controller.pipeline.match import match
    from workbench.cli.output.diagnostics import require_valid
    from workbench.pipeline_file.load import read_pipeline
    from workbench.submit.event import local_event
    from workbench.submit.worktree import tree_root

    pipeline = read_pipeline(file, Path.cwd())
    definition = require_valid(pipeline, console_style(sys.stderr))
    if definition is None:
        return 2
    tree = tree_root(pipeline.path, Path.cwd())
    kind = cast("EventKind", given["event"])
    found = local_event(tree, kind, branch=given["branch"], tag=given["tag"], base=given["base"])
    event = found.event
    echo_error(_describe(found))
    result = match(event, definition)
    if not result.runs:
        echo_error(f"pipeline {definition['name']} does not run: {result.reason}")
        return 1
    if given["dry_run"]:
        echo_error(f"pipeline {definition['name']} runs")
        return 0
    from workbench.cli.run_session.session import RunSession
    from workbench.client.run_request import RunRequest
    from workbench.submit.submit import RunSubmission, new_idempotency_key

    request = RunRequest(definition, branch=event.tag or event.branch, event=kind, changed_files=event.changed)
    submission = RunSubmission(request, new_idempotency_key(), tree=tree, file=pipeline.path)
    return run_async(RunSession(submission, target, console_style(sys.stdout)).run())


def _describe(found: LocalEvent) -> str:
    event = found.event
    if event.kind == "tag":
        return f"tag {event.tag}"
    where = f"{'push to' if event.kind == 'push' else 'pull request into'} {event.branch}"
    if event.changed is None:
        return f"{where}; the changed files are not known, so that every condition on paths holds"
    return f"{where}, {plural(len(event.changed), 'changed file')} since {found.base}"


async def _deliver(target: Target, given: dict[str, Any]) -> int:
    from workbench.cli.output.deliveries import print_outcome

    provider, path = given["provider"], given["payload"]
    if provider is None:
        raise click.UsageError("--payload requires --provider")
    body = _read_payload(path)
    headers = {**guessed_headers(provider, body), **dict(_header(each) for each in given["headers"])}
    async with open_client(target, start=False) as client:
        name = given["connection"]
        if name is None:
            found = [each.name for each in await client.connections() if each.provider == provider]
            if len(found) != 1:
                what = f"there are {len(found)} connections to {provider}" if found else f"no connection to {provider}"
                hint = "name one with --connection" if found else "create one with `c8s connect add URL`"
                raise CommandError(f"{what}; {hint}")
            name = found[0]
        return print_outcome(await client.deliver(name, headers, body), str(path))


def _read_payload(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_PAYLOAD + 1)
    except OSError as error:
        raise InputError(f"can't read the payload {path}: {error.strerror}") from error
    if len(data) > _MAX_PAYLOAD:
        raise InputError(f"the payload {path} is larger than {_MAX_PAYLOAD:,} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InputError(f"the payload {path} is not UTF-8") from None
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise InputError(f"the payload {path} is not a JSON object")
    return text


def guessed_headers(provider: str, body: str) -> dict[str, str]:
    """The header with the name of the event, which a payload alone has not; empty if it does not follow from it."""
    payload = json.loads(body)
    is_request = "pull_request" in payload or "pullrequest" in payload
    if provider == "github":
        name = "pull_request" if is_request else "ping" if "zen" in payload else "push"
        return {"X-GitHub-Event": name}
    if provider == "gitea":
        return {"X-Gitea-Event": "pull_request" if is_request else "push"}
    if provider == "bitbucket":
        return {"X-Event-Key": "pullrequest:updated" if is_request else "repo:push"}
    if provider == "bitbucket-server":
        return {"X-Event-Key": str(payload.get("eventKey") or "repo:refs_changed")[:100]}
    return {}


def _header(item: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals or not name or not value.isprintable() or not name.isascii():
        raise InputError(f"--header needs NAME=VALUE, not {item!r}")
    return name, value
