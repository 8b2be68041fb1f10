"""`c8s serve`: the workbench in browsers."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from workbench.cli.options import Target, run_async, target_options
from workbench.cli.output.console import CommandError, InputError, echo, echo_error
from workbench.text.format import plural

if TYPE_CHECKING:
    from workbench.serve.access import Access

_PORT = 8487
_MORE_PORTS = 20
"""How many ports after the usual one are tried, where that is taken."""
_TYPE = "Enter prints another link, `v` and Enter one that is read-only."
_TAKEN = (errno.EADDRINUSE,)
_LINE_BYTES = 4096
_ALL_MEAN = (
    "warning: {address} can be reached from other machines, and the connection is not encrypted. Whoever opens a link "
    "first, or reads the traffic, {power}. Safer: leave --host out and use a tunnel, such as "
    "`ssh -L {port}:127.0.0.1:{port} THIS-MACHINE`"
)


@dataclass(frozen=True)
class ServeOptions:
    """How to serve."""

    host: str
    port: int | None
    names: tuple[str, ...]
    read_only: bool
    viewers: int
    limit: int
    browser: bool


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--read-only", is_flag=True, help="No key changes anything, for anyone.")
@click.option(
    "--viewers", type=click.IntRange(0, 100), default=0, metavar="N", help="Print N more links, which are read-only."
)
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="PORT", help=f"The port.  [default: {_PORT}, or the next free one]"
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="The address to listen on. Any but a loopback one lets other machines connect, without encryption.",
)
@click.option(
    "--allow-host", multiple=True, metavar="NAME", help="A host name under which browsers may come, such as a proxy's."
)
@click.option(
    "--limit",
    type=click.IntRange(1, 200),
    default=8,
    show_default=True,
    metavar="N",
    help="Workbenches that may be open at a time; each is a process of 50 MB and more.",
)
@click.option("--browser/--no-browser", default=True, help="Open a browser, or only print the link.")
@target_options
def serve(
    target: Target,
    file: Path | None,
    read_only: bool,
    viewers: int,
    port: int | None,
    host: str,
    allow_host: tuple[str, ...],
    limit: int,
    browser: bool,
) -> None:
    """Show the workbench in browsers, or the run in a FILE of `c8s export`, until Ctrl-C.

    Each printed link signs one browser in, once, within 10 minutes, as you. Every tab has a workbench of its own,
    which goes on for 5 minutes when the connection is lost. In a terminal, Enter prints another link, and `v` with
    Enter one that is read-only. A FILE needs no sandbox and no cluster.

    \b
    Examples:
      c8s serve
      c8s serve --read-only --no-browser
      c8s serve --viewers 5               # one link for you, five for an audience
      c8s serve failure.c8srun
    """
    _check(target, file)
    options = ServeOptions(host, port, allow_host, read_only, viewers, limit, browser)
    run_async(_serve(target, file, options))


def _check(target: Target, file: Path | None) -> None:
    """Find out now what would otherwise fail in each browser. Raises ClientError, CommandError, SandboxError."""
    if find_spec("textual_serve") is None:
        raise CommandError(
            "`c8s serve` needs the package textual-serve, which is not installed here; install c8s again, or only it"
        )
    if file is not None:
        from workbench.bundle.controller import BundleController

        BundleController(file).close()
        return
    if target.endpoint is not None:
        return
    from workbench.sandbox import Sandboxes
    from workbench.sandbox.paths import SandboxPaths

    if target.name not in Sandboxes().list():
        SandboxPaths.named(target.name)
        name = f" --name {target.name}" if target.options() else ""
        raise CommandError(f"there is no sandbox {target.name}; `c8s up{name}` starts one")


async def _serve(target: Target, file: Path | None, options: ServeOptions) -> None:
    from aiohttp import web

    from workbench.serve.access import Access
    from workbench.serve.app_sessions import AppSessions
    from workbench.serve.origin import origins_of
    from workbench.serve.server import WorkbenchServer

    access = Access(time.monotonic)
    async with _running(target, file):
        listener = _listen(options)
        address, port = listener.getsockname()[:2]
        apps = AppSessions(
            lambda read_only: app_command(target, file, read_only=read_only),
            limit=options.limit,
            now=time.monotonic,
            report=echo_error,
        )
        application = WorkbenchServer(access, apps, origins_of(address, (options.host, *options.names))).application()
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            async with apps:
                await web.SockSite(runner, listener).start()
                await _give_links(access, options, address, port)
        finally:
            await runner.cleanup()


def app_command(target: Target, file: Path | None, *, read_only: bool) -> list[str]:
    """The command line of an app on this controller, or on the run of a file."""
    chosen = ["--context", target.context] if target.context else ["--name", target.name]
    space = ["--namespace", target.namespace] if target.namespace else []
    what = ["--file", str(file.absolute())] if file is not None else [*chosen, *space]
    command = [sys.executable, "-P", "-m", "workbench.cli.served_app", *what]
    return [*command, "--read-only"] if read_only else command


@asynccontextmanager
async def _running(target: Target, file: Path | None) -> AsyncIterator[None]:
    """Keep the sandbox running, if it is one of this machine."""
    if file is not None or target.endpoint is not None:
        yield
        return
    from workbench.sandbox import Sandboxes

    async with Sandboxes(runtime=target.runtime).attach(target.name, progress=echo_error):
        yield


def _listen(options: ServeOptions) -> socket.socket:
    """A socket on the given port; without one, on the usual port or the next that is free. Raises InputError."""
    ports = [options.port] if options.port is not None else range(_PORT, _PORT + _MORE_PORTS)
    host = options.host.strip("[]")
    problem: OSError | None = None
    for port in ports:
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            return socket.create_server((address[0], address[1]), family=family, backlog=128)
        except UnicodeError:
            raise InputError(f"can't listen on {options.host!r}: it is neither an address nor a name") from None
        except OSError as error:
            problem = error
            if not isinstance(error, socket.gaierror) and error.errno in _TAKEN:
                continue
            break
    assert problem is not None
    where = f"{options.host}:{ports[0]}"
    if problem.errno in _TAKEN:
        raise InputError(f"{where} is in use, perhaps by another `c8s serve`; --port takes another port, or none")
    why = problem.strerror if isinstance(problem, socket.gaierror) else os.strerror(problem.errno or 0)
    raise InputError(f"can't listen on {where}: {why}")


async def _give_links(access: Access, options: ServeOptions, address: str, port: int) -> None:
    """Print links to an address and a port, open the browser, and print more on request; never returns."""
    from workbench.serve.origin import is_loopback, is_wildcard

    if not is_loopback(address):
        power = "sees what you see" if options.read_only else "acts as you, which includes running commands here"
        echo_error(_ALL_MEAN.format(address=address, power=power, port=port))
    name = options.names[0] if options.names else "127.0.0.1" if is_wildcard(address) else options.host
    root = f"http://{f'[{name}]' if ':' in name and not name.startswith('[') else name}:{port}"

    def give(read_only: bool) -> str:
        link = f"{root}/enter?ticket={access.issue_ticket(read_only=read_only or options.read_only)}"
        echo(link)
        return link

    echo_error(f"The workbench is served at {root} until Ctrl-C. This link signs one browser in, within 10 minutes:")
    if is_wildcard(address) and not options.names:
        echo_error("From another machine, put the address of this one in place of 127.0.0.1.")
    first = give(False)
    if options.viewers:
        echo_error(f"{plural(options.viewers, 'link')} for viewers, who can change nothing:")
        for _ in range(options.viewers):
            give(True)
    if sys.stdin is not None and sys.stdin.isatty():
        echo_error(_TYPE)
    if options.browser:
        from workbench.cli.commands.browsers.launch import open_browser

        if not await asyncio.to_thread(open_browser, first):
            echo_error("no browser was found; open the link in one")

    def answer(line: str) -> None:
        wanted = line.strip().lower()
        if wanted == "v":
            echo_error("Read-only:")
        if wanted in ("", "v"):
            give(wanted == "v")
        else:
            echo_error(_TYPE)

    with _lines_typed(answer):
        await asyncio.Event().wait()


@contextmanager
def _lines_typed(handle: Callable[[str], object]) -> Iterator[None]:
    """Call `handle` with each line of the standard input; not in the background, where reading stops a process."""
    loop = asyncio.get_running_loop()
    descriptor = sys.stdin.fileno() if sys.stdin is not None else -1

    def read() -> None:
        data = os.read(descriptor, _LINE_BYTES) if not _is_background(descriptor) else b""
        if not data:
            loop.remove_reader(descriptor)
        for line in data.decode(errors="replace").splitlines():
            handle(line)

    try:
        loop.add_reader(descriptor, read)
    except (OSError, ValueError):
        # A file, or none: nobody types there.
        yield
        return
    try:
        yield
    finally:
        loop.remove_reader(descriptor)


def _is_background(descriptor: int) -> bool:
    return os.isatty(descriptor) and os.tcgetpgrp(descriptor) != os.getpgrp()
