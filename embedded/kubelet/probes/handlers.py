"""What probes and lifecycle hooks do: run a command in a container, ask a port, sleep. One try, and what came of it."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from typing import Any

from embedded.kubelet.config.downward_api import LOOPBACK
from embedded.kubelet.config.environment import ConfigError
from embedded.kubelet.container.container import Container, ContainerContext
from embedded.kubelet.container.process import Process, StartError

Json = dict[str, Any]

ACTION_KINDS = ("exec", "tcpSocket", "httpGet", "sleep")
_MAX_OUTPUT_BYTES = 1024
_MAX_LINE_BYTES = 8192


async def run_action(action: Json, container: Container, around: ContainerContext, timeout: float | None) -> str:
    """Do it once; what went wrong, or nothing. `timeout` in seconds."""
    try:
        async with asyncio.timeout(timeout):
            if "exec" in action:
                return await _run_exec(action["exec"].get("command") or [], container, around)
            if "httpGet" in action:
                return await _run_http_get(action["httpGet"], container)
            if "sleep" in action:
                await asyncio.sleep(float(action["sleep"].get("seconds") or 0))
                return ""
            host, port = action["tcpSocket"].get("host") or LOOPBACK, _port(action["tcpSocket"]["port"], container)
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            return ""
    except TimeoutError:
        return "no answer in time" if timeout is None else f"no answer within {timeout:g} s"
    except (OSError, ConfigError, StartError) as error:
        return str(error) or type(error).__name__
    except (ValueError, LookupError, TypeError, ArithmeticError) as error:
        return f"it can't be done as it is written: {type(error).__name__}: {error}"


async def _run_exec(words: list[Any], container: Container, around: ContainerContext) -> str:
    if not words:
        return "it has no command"
    command = container.build_command(words, around)
    said = bytearray()

    def keep(data: bytes) -> None:
        said.extend(data[: max(0, _MAX_OUTPUT_BYTES - len(said))])

    # Known by a mark of its own: when it ends, what the container itself has detached lives on.
    process = Process(replace(command, owner=f"{command.owner}.probe", folder=""), sink=keep)
    code = await process.wait()
    return "" if code == 0 else f"exit code {code}: {said.decode(errors='replace')}".rstrip(": \n")


async def _run_http_get(wanted: Json, container: Container) -> str:
    """A GET that is answered with 200 to 399 is a success. A certificate is not looked at, as kubelets don't."""
    context = None
    if wanted.get("scheme") == "HTTPS":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host = wanted.get("host") or LOOPBACK
    reader, writer = await asyncio.open_connection(
        host, _port(wanted["port"], container), ssl=context, limit=_MAX_LINE_BYTES
    )
    try:
        writer.write(_request(wanted, host))
        await writer.drain()
        words = (await reader.readline()).split()
    finally:
        writer.close()
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    return "" if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"


def _request(wanted: Json, host: str) -> bytes:
    path = str(wanted.get("path") or "/")
    headers = {"Host": host, "User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"}
    headers |= {str(h["name"]): str(h.get("value", "")) for h in wanted.get("httpHeaders") or []}
    lines = [f"GET {path if path.startswith('/') else '/' + path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a path or header with a line break can't be sent")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _port(port: Any, container: Container) -> int:
    """A port by number, or by the name it has in the container's list."""
    for known in container.spec.get("ports") or []:
        if known.get("name") == port:
            return int(known["containerPort"])
    return int(port)
