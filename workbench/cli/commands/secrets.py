"""`c8s secrets`: set, list and delete. A value is never an argument, which other users could see."""

from __future__ import annotations

from pathlib import Path

import click

from workbench.cli.given_values import read_text, read_value
from workbench.cli.options import Target, open_client, output_option, run_async, target_options
from workbench.cli.output.console import InputError, echo, echo_error, print_list

_MAX_BYTES = 1024 * 1024


@click.group()
def secrets() -> None:
    """Set, list and delete the secrets of steps.

    Values can be set and replaced, but never read. In logs, values and their common
    encodings are replaced by ***.

    \b
    Examples:
      c8s secrets set db password                         prompts for the value
      printf %s "$PASSWORD" | c8s secrets set db password
      c8s secrets set deploy --from-file key=~/.ssh/deploy_ed25519
      c8s secrets list
      c8s secrets delete db
    """


@secrets.command("set")
@click.argument("secret")
@click.argument("key", required=False)
@click.option(
    "--from-file",
    "files",
    multiple=True,
    metavar="KEY=PATH",
    help="Read the value of KEY from a file, unchanged.",
)
@target_options
def set_(target: Target, secret: str, key: str | None, files: tuple[str, ...]) -> None:
    """Set KEY of SECRET; its other keys are unchanged.

    The value is read from standard input, or prompted for on a terminal. The newline
    after a single line is removed; a value of several lines is not changed.
    """
    if key is not None and "=" in key:
        raise InputError(
            "give only the key: other users could see a value on the command line. It is read from standard input"
        )
    data = dict(_from_file(item) for item in files)
    if key is not None:
        data[key] = _value(secret, key)
    if not data:
        raise click.UsageError("name a KEY, or give --from-file KEY=PATH")
    run_async(_set(target, secret, data))


def _from_file(item: str) -> tuple[str, str]:
    key, equals, name = item.partition("=")
    if not equals or not key or not name:
        raise InputError(f"--from-file needs KEY=PATH, not {item!r}")
    return key, read_text(Path(name), f"the value of {key}", _MAX_BYTES)


def _value(secret: str, key: str) -> str:
    text = read_value(f"{secret}/{key}", _MAX_BYTES)
    if not text:
        raise InputError(f"there is no value for {key} on standard input")
    return text


async def _set(target: Target, secret: str, data: dict[str, str]) -> None:
    async with open_client(target) as client:
        warnings = await client.put_secret(secret, data)
    echo_error(f"secret {secret}: {', '.join(data)} set")
    for warning in warnings:
        echo_error(f"warning: {warning}")


@secrets.command("list")
@output_option
@target_options
def list_(target: Target, output: str) -> None:
    """List secrets and their keys."""
    run_async(_list(target, output))


async def _list(target: Target, output: str) -> None:
    async with open_client(target, start=False) as client:
        found = await client.secrets()
    documents = [{"name": secret.name, "keys": list(secret.keys)} for secret in found]
    rows = [(secret.name, ", ".join(secret.keys)) for secret in found]
    print_list(documents, output, ("SECRET", "KEYS"), rows, "no secrets")


@secrets.command("delete")
@click.argument("secret")
@target_options
def delete(target: Target, secret: str) -> None:
    """Delete SECRET with all its keys. Runs that have started are not affected."""
    run_async(_delete(target, secret))
    echo(f"secret {secret} deleted")


async def _delete(target: Target, secret: str) -> None:
    async with open_client(target, start=False) as client:
        await client.delete_secret(secret)
