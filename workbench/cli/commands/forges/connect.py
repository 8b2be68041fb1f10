"""`c8s connect`: connections to the repositories of forges."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from workbench.cli.given_values import read_text, read_token
from workbench.cli.options import Target, open_client, output_option, run_async, target_options
from workbench.cli.output.console import InputError, echo, echo_error, print_document, print_list

_PROVIDERS = ("github", "gitlab", "bitbucket", "bitbucket-server", "gitea")
_HOSTS = {"github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket", "codeberg.org": "gitea"}


@click.group()
def connect() -> None:
    """Connect repositories of GitHub, GitLab, Bitbucket, Gitea and Forgejo.

    A push or a pull request to a connected repository starts the pipelines that ask for it.

    \b
    Examples:
      c8s connect add https://github.com/org/app
      printf %s "$TOKEN" | c8s connect add https://git.example.org/org/app --provider gitea --token
      c8s connect add https://github.com/org/app --pipeline nightly --forks never
      c8s connect add https://github.com/org/app --app-id 12345 --app-key app.pem
      c8s connect list
      c8s webhooks list
    """


@connect.command("add")
@click.argument("repository")
@click.option("--provider", type=click.Choice(_PROVIDERS), help="The forge.  [default: by the host of the URL]")
@click.option("--connection", metavar="NAME", help="The connection's name.  [default: the repository's]")
@click.option("--token", is_flag=True, help="Read a token for cloning and statuses from standard input.")
@click.option("--app-id", metavar="ID", help="Clone and report as this GitHub App, with check runs.")
@click.option("--app-key", metavar="FILE", help="The private key of the App, as GitHub gives it (PEM).")
@click.option("--username", metavar="NAME", help="The user of the token for cloning.  [default: depends on the forge]")
@click.option("--pipeline", "pipelines", multiple=True, metavar="NAME", help="Run this stored pipeline instead.")
@click.option("--pipeline-file", metavar="PATH", help="The pipeline in the repository.  [default: .c8s.yaml]")
@click.option(
    "--forks",
    type=click.Choice(["approve", "never", "always"]),
    default="approve",
    show_default=True,
    help="Whether pull requests from forks run.",
)
@click.option(
    "--statuses",
    type=click.Choice(["run", "step", "off"]),
    default="run",
    show_default=True,
    help="What is reported to the forge: runs, also each step, or nothing. It needs --token.",
)
@click.option("--api-url", metavar="URL", help="The forge's API, if it is not at the usual place.")
@output_option
@target_options
def add(target: Target, repository: str, output: str, **given: Any) -> None:
    """Connect REPOSITORY (a URL), or change its connection.

    Prints the URL and, of a new connection, the secret to give to the forge. The secret is shown once.
    """
    name = given["connection"] or default_name(repository)
    document: dict[str, Any] = {
        "repository": repository,
        "provider": given["provider"] or default_provider(repository),
        "pipelines": list(given["pipelines"]),
        "pipelineFile": given["pipeline_file"],
        "forks": given["forks"],
        "statuses": given["statuses"],
        "apiUrl": given["api_url"],
    }
    if given["app_id"] or given["app_key"]:
        if given["token"] or given["username"]:
            raise click.UsageError("give either a GitHub App or --token")
        document["credentials"] = _read_app(document["provider"], given["app_id"], given["app_key"])
    elif given["token"]:
        username = given["username"] or default_username(document["provider"])
        document["credentials"] = {"username": username, "password": read_token()}
    elif given["username"]:
        raise click.UsageError("--username requires --token")
    run_async(_add(target, name, document, output))


def default_name(repository: str) -> str:
    """The last part of a repository's URL as a name. Raises InputError if it can't be one."""
    last = re.split(r"[/:]", repository.rstrip("/").removesuffix(".git"))[-1]
    name = re.sub(r"[^a-z0-9]+", "-", last.lower()).strip("-")[:63].rstrip("-")
    if not name:
        raise InputError(f"no name for the connection follows from {repository!r}; give one with --connection NAME")
    return name


def default_provider(repository: str) -> str:
    """The forge of a well-known host. Raises InputError for any other."""
    match = re.match(r"(?:[a-z]+://)?(?:[^/@]*@)?([^/:]+)", repository)
    host = match[1].lower() if match else ""
    if host in _HOSTS:
        return _HOSTS[host]
    raise InputError(f"which forge is {host or repository!r}? Say it with --provider, one of {', '.join(_PROVIDERS)}")


def default_username(provider: str) -> str:
    """The name that goes with a token where the forge ignores it or asks for this one."""
    return {"gitlab": "oauth2", "bitbucket": "x-token-auth"}.get(provider, "x-access-token")


def _read_app(provider: str, app_id: str | None, key_file: str | None) -> dict[str, str]:
    """The credentials of a GitHub App. Raises InputError for a file that has no private key."""
    if provider != "github" or not app_id or not key_file:
        raise click.UsageError("a GitHub App needs --app-id, --app-key and --provider github")
    if not (app_id.isascii() and app_id.isalnum()):
        raise InputError(f"--app-id {app_id}: expected the number or the client id that GitHub shows")
    key = read_text(Path(key_file), "the App's private key", 65_536).strip()
    if "PRIVATE KEY-----" not in key:
        raise InputError(f"{key_file} has no private key in PEM")
    return {"app-id": app_id, "private-key": key}


async def _add(target: Target, name: str, document: dict[str, Any], output: str) -> None:
    async with open_client(target) as client:
        found = await client.put_connection(name, {key: value for key, value in document.items() if value is not None})
        if found.webhook_url is None:
            found_again = await _with_url(client, name)
            url = found_again or ""
        else:
            url = found.webhook_url
    if output != "table":
        print_document({"name": found.name, "url": url, "secret": found.secret}, output)
        return
    echo_error(f"connection {name} is set; give this to {document['provider']} as a webhook:")
    echo(f"URL           {url or 'see `c8s connect list` once a receiver is running'}")
    echo("content type  application/json")
    echo(f"secret        {found.secret or 'unchanged'}")
    echo("events        pushes, tags, pull requests")


async def _with_url(client: Any, name: str) -> str | None:
    """The URL, which a receiver writes a moment after the connection was created; None if none does."""
    import asyncio

    for _ in range(20):
        found = await client.connection(name)
        if found.webhook_url is not None:
            return str(found.webhook_url)
        await asyncio.sleep(0.1)
    return None


@connect.command("list")
@output_option
@target_options
def list_(target: Target, output: str) -> None:
    """List connections, with the URL to give to the forge."""
    run_async(_list(target, output))


async def _list(target: Target, output: str) -> None:
    async with open_client(target, start=False) as client:
        found = await client.connections()
    documents = [
        {
            "name": each.name,
            "repository": each.repository,
            "provider": each.provider,
            "pipelines": list(each.pipelines),
            "pipelineFile": each.pipeline_file,
            "forks": each.forks,
            "url": each.webhook_url,
            "ready": each.ready,
            "message": each.message,
        }
        for each in found
    ]
    rows = [
        (each.name, each.provider, each.repository, _state(each.ready, each.message), each.webhook_url or "")
        for each in found
    ]
    header = ("NAME", "FORGE", "REPOSITORY", "STATE", "URL")
    print_list(documents, output, header, rows, "no connections; create one with `c8s connect add URL`")


def _state(ready: bool | None, message: str | None) -> str:
    if ready is None:
        return "not checked yet"
    return "ready" if ready else message or "not ready"


@connect.command("delete")
@click.argument("connection")
@target_options
def delete(target: Target, connection: str) -> None:
    """Delete CONNECTION with its secrets. Its runs remain."""
    run_async(_delete(target, connection))
    echo(f"connection {connection} deleted")


async def _delete(target: Target, name: str) -> None:
    async with open_client(target, start=False) as client:
        await client.delete_connection(name)
