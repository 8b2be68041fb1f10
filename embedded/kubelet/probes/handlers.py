"""The actions of probes and lifecycle hooks: exec, grpc, httpGet, tcpSocket, sleep. One attempt each."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AbstractAsyncContextManager
from typing import Any

from embedded.kubelet.config.downward_api import LOOPBACK
from embedded.kubelet.config.environment import ConfigError
from embedded.kubelet.container.container import Container
from embedded.kubelet.probes.grpc_health import check_health
from embedded.kubelet.runtime.dial import Connection, DialError, dial, join_host_port
from embedded.kubelet.runtime.interface import StartError

Json = dict[str, Any]

_MAX_OUTPUT_BYTES = 1024


async def run_action(action: Json, container: Container, timeout: float | None) -> str:
    """Run an action once.

    Args:
        action: a probe or a lifecycle handler.
        timeout: seconds; None for no limit.

    Returns:
        Why it failed; empty on success.
    """
    try:
        async with asyncio.timeout(timeout):
            if "exec" in action:
                return await _run_exec(action["exec"].get("command") or [], container)
            if "httpGet" in action:
                return await _run_http_get(action["httpGet"], container)
            if "sleep" in action:
                await asyncio.sleep(float(action["sleep"].get("seconds") or 0))
                return ""
            if "grpc" in action:
                return await _run_grpc(action["grpc"], container)
            async with _connection(action["tcpSocket"], container):
                return ""
    except TimeoutError:
        return "timed out" if timeout is None else f"timed out after {timeout:g} s"
    except (OSError, ConfigError, StartError) as error:
        return str(error) or type(error).__name__
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:
        return f"the spec is invalid: {type(error).__name__}: {error}"


async def _run_exec(argv: list[Any], container: Container) -> str:
    if not argv:
        return "the exec action has no command"
    code, output = await container.run(argv, _MAX_OUTPUT_BYTES)
    return "" if code == 0 else f"exit code {code}: {output.decode(errors='replace')}".rstrip(": \n")


async def _run_grpc(action: Json, container: Container) -> str:
    authority = join_host_port(_address(container), _port(action["port"], container))
    try:
        async with _connection(action, container) as connection:
            return await check_health(connection, authority, str(action.get("service") or ""))
    except DialError as error:
        return f"error: health rpc failed: {error}"


async def _run_http_get(action: Json, container: Container) -> str:
    """Send a GET; status 200 to 399 is a success. Certificates are not verified, as by a kubelet."""
    context = None
    if action.get("scheme") == "HTTPS":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host = str(action.get("host") or _address(container))
    place = join_host_port(host, _port(action["port"], container))
    try:
        async with _connection(action, container) as (reader, writer):
            if context is not None:
                await writer.start_tls(context, server_hostname=action.get("host"))
            writer.write(_request(action, place))
            await writer.drain()
            status_line = (await reader.readline()).split()
    except DialError as error:
        scheme = "http" if context is None else "https"
        return f'Get "{scheme}://{place}{action.get("path") or "/"}": {error}'
    status = int(status_line[1]) if len(status_line) > 1 and status_line[1].isdigit() else 0
    return "" if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"


def _request(action: Json, host: str) -> bytes:
    path = str(action.get("path") or "/")
    headers = {"Host": host, "User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"}
    headers |= {str(h["name"]): str(h.get("value", "")) for h in action.get("httpHeaders") or []}
    lines = [f"GET {path if path.startswith('/') else '/' + path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("the path or a header contains a line break")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _address(container: Container) -> str:
    return LOOPBACK if container.running is None else container.running.address


def _connection(action: Json, container: Container) -> AbstractAsyncContextManager[Connection]:
    """A connection to the port of an action: from this machine if it names a host, else within the pod."""
    port = _port(action["port"], container)
    if host := action.get("host"):
        return dial(str(host), port)
    if container.running is None:
        raise StartError("the container does not run")
    return container.running.connect(port)


def _port(port: Any, container: Container) -> int:
    """A port by its number, or by its name in the container's `ports`."""
    for known in container.spec.get("ports") or []:
        if known.get("name") == port:
            return int(known["containerPort"])
    return int(port)
