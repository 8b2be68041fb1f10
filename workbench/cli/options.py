"""Options shared by many commands: the controller to use and the output format."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from workbench.cli.interruption import INTERRUPTED, ExitDeadline, loop_runner, restored_sigint, until_interrupted
from workbench.cli.output.console import CommandError, InputError, echo_error
from workbench.config.preferences import RUNTIMES

if TYPE_CHECKING:
    from workbench.client import Client
    from workbench.sandbox import Endpoint

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

DEFAULT_SANDBOX = "default"
KIND_SANDBOX = "c8s"
_TARGET = ("name", "context", "namespace")
_RECONNECT_TIMEOUT = 15.0
"""Seconds without a connection after which a command fails; a controller restarts in about one."""


@dataclass(frozen=True)
class Target:
    """The controller to use: that of a context if `endpoint` is set, else that of the sandbox `name`."""

    name: str = DEFAULT_SANDBOX
    endpoint: Endpoint | None = None
    namespace: str | None = None
    context: str | None = None
    """The name of the context that `endpoint` comes from."""
    runtime: str | None = None
    """What is to run the steps of a sandbox that is started; None: as configured."""

    def options(self) -> str:
        """The options that select this controller in a command, with a leading blank; empty for the default one."""
        context = f" --context {self.context}" if self.context else ""
        name = f" --name {self.name}" if self.endpoint is None and self.name != DEFAULT_SANDBOX else ""
        return context + name + (f" --namespace {self.namespace}" if self.namespace else "")


def sandbox_option(function: F) -> F:
    text = "The sandbox.  [default: that of the current context, else default]"
    return click.option("--name", envvar="C8S_SANDBOX", metavar="NAME", help=text)(function)


def runtime_option(function: F) -> F:
    text = (
        "What runs the steps: docker or podman, in their images; process, on this machine without images; or auto, "
        "an engine if one answers.  [default: C8S_RUNTIME, else `runtime` in the config file, else auto]"
    )
    return click.option("--runtime", type=click.Choice(RUNTIMES), help=text)(function)


def target_options(function: F) -> F:
    """`--name`, `--context` and `--namespace`; the command receives the result as `target`."""

    @click.option("--name", envvar="C8S_SANDBOX", metavar="NAME", help="The sandbox to use.  [default: default]")
    @click.option("--context", envvar="C8S_CONTEXT", metavar="NAME", help="The context of the config file to use.")
    @click.option("--namespace", envvar="C8S_NAMESPACE", metavar="NS", help="The namespace on the controller.")
    @click.pass_context
    @wraps(function)
    def command(ctx: click.Context, /, **given: Any) -> Any:
        for option in _TARGET:
            given.pop(option)
        return function(target=resolve_target(ctx), **given)

    return cast(F, command)


def output_option(function: F) -> F:
    return click.option(
        "--output",
        "-o",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        help="Output format.",
    )(function)


def resolve_target(ctx: click.Context) -> Target:
    """The controller selected by the options, the environment or the config file, in this order.

    Raises:
        InputError: both a sandbox and a context are given.
        ContextError: the config file is invalid.
    """
    name, context, namespace = (ctx.params.get(key) for key in _TARGET)
    if name and context:
        by_flag = [key for key in ("name", "context") if _source(ctx, key) is not ParameterSource.ENVIRONMENT]
        if len(by_flag) == 2 or not by_flag:
            raise InputError("--name (or C8S_SANDBOX) and --context (or C8S_CONTEXT) exclude each other: use one")
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
    """The named sandbox, else that of the current context, else the default one."""
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
async def open_client(
    target: Target, *, start: bool = True, is_interrupted: Callable[[], bool] = lambda: False
) -> AsyncIterator[Client]:
    """A client of the controller. A sandbox that is not running is started until this ends.

    With `start` False, only an existing sandbox is started: a new one would be empty. If the command
    `is_interrupted` by then, it does not wait long for the end of a sandbox that was started for it.
    """
    from dataclasses import replace

    from workbench.client import Client

    notice = ConnectionNotice()
    if target.endpoint is not None:
        endpoint = target.endpoint if target.namespace is None else replace(target.endpoint, namespace=target.namespace)
        await _renew_token(endpoint)
        async with Client(endpoint, reconnect_timeout=_RECONNECT_TIMEOUT, on_connection_error=notice) as client:
            yield client
        return
    from workbench.sandbox import Sandboxes
    from workbench.sandbox.disk import report_full_disk, sandbox_disk
    from workbench.sandbox.paths import SandboxPaths

    sandboxes = Sandboxes(runtime=target.runtime)
    if not start and target.name not in sandboxes.list():
        SandboxPaths.named(target.name)  # Raises SandboxNameError if no sandbox can have this name.
        hint = "" if target.name == DEFAULT_SANDBOX else f" --name {target.name}"
        raise CommandError(f"sandbox {target.name} does not exist; create it with `c8s up{hint}` or `c8s run`")
    async with (
        report_full_disk(echo_error, sandbox_disk()),
        sandboxes.attach(target.name, progress=echo_error, is_interrupted=is_interrupted) as found,
    ):
        endpoint = found if target.namespace is None else replace(found, namespace=target.namespace)
        async with Client(endpoint, reconnect_timeout=_RECONNECT_TIMEOUT, on_connection_error=notice) as client:
            yield client


async def _renew_token(endpoint: Endpoint) -> None:
    """Renew the token of an endpoint whose kubeconfig is known."""
    if endpoint.kubeconfig is None:
        return
    import time

    from kind.access.service_account_token import ServiceAccountToken, ensure

    await ensure(ServiceAccountToken(endpoint.token_file, endpoint.kubeconfig, endpoint.kube_context), time.time())


@dataclass
class ConnectionNotice:
    """Prints one message when the connection is lost and one when it is restored."""

    disconnected: bool = False

    def __call__(self, error: str | None) -> None:
        if error and not self.disconnected:
            echo_error(f"{error} Reconnecting.")
        elif not error and self.disconnected:
            echo_error("the connection is restored")
        self.disconnected = error is not None


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine. Errors are raised themselves, not in groups. SIGTERM and SIGHUP end it as Ctrl-C does.

    An interrupted command ends within a few seconds, whatever its server does.
    """
    deadline = ExitDeadline()
    interruptible = until_interrupted(main, deadline)
    try:
        with restored_sigint(), loop_runner() as runner:
            result = runner.run(interruptible)
            if result == INTERRUPTED:
                # It handled the signal itself; closing the loop may still wait for threads.
                deadline.arm(INTERRUPTED)
        return result
    except BaseExceptionGroup as group:
        raise unwrap_group(group) from group
    finally:
        # Neither has begun if the interrupt came before; Python would warn of that.
        interruptible.close()
        main.close()
        deadline.disarm()


def unwrap_group(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a group that is not a group itself."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def is_interactive() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def supports_fullscreen() -> bool:
    """Whether the terminal can show the workbench, which needs cursor movement. A page of `c8s serve` can."""
    if os.environ.get("C8S_SERVED") == "1":
        return True
    return is_interactive() and os.environ.get("TERM") != "dumb"
