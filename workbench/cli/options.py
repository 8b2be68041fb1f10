"""Options that many commands share, and what they mean: which controller, which form of output."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from workbench.cli.output.console import CommandError, InputError, echo_error

if TYPE_CHECKING:
    from workbench.client import Client
    from workbench.sandbox import Endpoint

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

DEFAULT_SANDBOX = "default"
KIND_SANDBOX = "c8s"
_TARGET = ("name", "context", "namespace")
_RECONNECT_TIMEOUT = 15.0
"""Seconds without a connection after which a command gives up; a controller's new start takes about one."""


@dataclass(frozen=True)
class Target:
    """Which controller: a context's, or else the sandbox `name`'s."""

    name: str = DEFAULT_SANDBOX
    endpoint: Endpoint | None = None
    namespace: str | None = None
    context: str | None = None
    """The name of the context that `endpoint` is of."""


def sandbox_option(function: F) -> F:
    what = "The sandbox.  [default: the current context's, else default]"
    return click.option("--name", envvar="C8S_SANDBOX", metavar="NAME", help=what)(function)


def target_options(function: F) -> F:
    """`--name`, `--context` and `--namespace`; the command gets what they mean as `where`."""

    @click.option("--name", envvar="C8S_SANDBOX", metavar="NAME", help="The sandbox to use.  [default: default]")
    @click.option("--context", envvar="C8S_CONTEXT", metavar="NAME", help="Use a controller of the config file.")
    @click.option("--namespace", envvar="C8S_NAMESPACE", metavar="NS", help="The namespace on the controller.")
    @click.pass_context
    @wraps(function)
    def command(ctx: click.Context, /, **given: Any) -> Any:
        for option in _TARGET:
            given.pop(option)
        return function(where=resolve_target(ctx), **given)

    return cast(F, command)


def output_option(function: F) -> F:
    return click.option(
        "--output",
        "-o",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="For people, or for programs.",
    )(function)


def resolve_target(ctx: click.Context) -> Target:
    """The controller that the options, the environment and the config file ask for, the first of them first.

    Raises:
        InputError: both a sandbox and a context are asked for.
        ContextError: the config file is wrong.
    """
    name, context, namespace = (ctx.params.get(key) for key in _TARGET)
    if name and context:
        by_flag = [key for key in ("name", "context") if _source(ctx, key) is not ParameterSource.ENVIRONMENT]
        if len(by_flag) == 2 or not by_flag:
            raise InputError("--name (or C8S_SANDBOX) and --context (or C8S_CONTEXT) exclude each other: give one")
        name, context = (name, None) if by_flag == ["name"] else (None, context)
    if name:
        return Target(name, None, namespace)
    from workbench.config.contexts import config_path, read_contexts

    contexts = read_contexts(config_path())
    chosen = context or contexts.current
    if chosen is None:
        return Target(DEFAULT_SANDBOX, None, namespace)
    found = contexts.get(chosen)
    if found.sandbox is not None:
        return Target(found.sandbox, None, namespace)
    return Target(DEFAULT_SANDBOX, found, namespace, chosen)


def resolve_sandbox(name: str | None, kind: bool = False) -> str:
    """The sandbox that is meant: the one named, else the one of the current context, else the default one."""
    if name:
        return name
    if kind:
        return KIND_SANDBOX
    from workbench.config.contexts import config_path, read_contexts

    contexts = read_contexts(config_path())
    current = contexts.endpoints.get(contexts.current) if contexts.current else None
    return (current.sandbox if current is not None else None) or DEFAULT_SANDBOX


def _source(ctx: click.Context, key: str) -> ParameterSource | None:
    return ctx.get_parameter_source(key)


@asynccontextmanager
async def open_client(where: Target, *, start: bool = True) -> AsyncIterator[Client]:
    """A client of the controller. A sandbox that does not run is started for as long as this lasts.

    With `start` False only one that has been there before is: there is nothing to see in a new one.
    """
    from dataclasses import replace

    from workbench.client import Client

    tell = ConnectionNotice()
    if where.endpoint is not None:
        endpoint = where.endpoint if where.namespace is None else replace(where.endpoint, namespace=where.namespace)
        await _renew_token(endpoint)
        async with Client(endpoint, reconnect_timeout=_RECONNECT_TIMEOUT, on_connection_error=tell) as client:
            yield client
        return
    from workbench.sandbox import Sandboxes

    sandboxes = Sandboxes()
    if not start and where.name not in sandboxes.list():
        hint = "" if where.name == DEFAULT_SANDBOX else f" --name {where.name}"
        raise CommandError(f"there is no sandbox {where.name} yet; `c8s up{hint}` makes one, and so does `c8s run`")
    async with sandboxes.attach(where.name, progress=echo_error) as found:
        endpoint = found if where.namespace is None else replace(found, namespace=where.namespace)
        async with Client(endpoint, reconnect_timeout=_RECONNECT_TIMEOUT, on_connection_error=tell) as client:
            yield client


async def _renew_token(endpoint: Endpoint) -> None:
    """Renew the token that is ours to renew."""
    if endpoint.kubeconfig is None:
        return
    import time

    from kind.service_account_token import ServiceAccountToken, ensure

    await ensure(ServiceAccountToken(endpoint.token_file, endpoint.kubeconfig, endpoint.kube_context), time.time())


@dataclass
class ConnectionNotice:
    """Says once that the connection is lost, however often it is tried, and once that it is back."""

    troubled: bool = False

    def __call__(self, trouble: str | None) -> None:
        if trouble and not self.troubled:
            echo_error(f"{trouble} Trying again.")
        elif not trouble and self.troubled:
            echo_error("the connection is back")
        self.troubled = trouble is not None


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run it to its end. Errors come out as themselves, not in groups."""
    try:
        return asyncio.run(main)
    except BaseExceptionGroup as group:
        raise unwrap_group(group) from group


def unwrap_group(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a group that is no group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def is_interactive() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def supports_fullscreen() -> bool:
    """Whether there is a terminal for the workbench: one that moves its cursor."""
    return is_interactive() and os.environ.get("TERM") != "dumb"
