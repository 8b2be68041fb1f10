"""Programs that some tests use, from the machine or from the environment that runs the tests, and ports for them."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import sys
from pathlib import Path
from typing import NoReturn

import pytest

_PORTS = range(20_000, 32_000)


def find_tool(name: str) -> str | None:
    """The path of a program, or None if it is not installed."""
    own = str(Path(sys.executable).parent)
    return shutil.which(name, path=os.pathsep.join([own, os.environ.get("PATH", os.defpath)]))


def are_tools_required() -> bool:
    """Whether this is CI, where nothing that can be installed may be missing."""
    return os.environ.get("C8S_TEST_TOOLS") == "required"


def skip_unless_required(reason: str) -> NoReturn:
    """Skip the calling test for want of something that can be installed; on CI (C8S_TEST_TOOLS=required) fail it."""
    if are_tools_required():
        pytest.fail(f"C8S_TEST_TOOLS=required, but {reason}")
    pytest.skip(reason)


def free_ports(count: int) -> list[int]:
    """Ports that are free, for a server that takes no sockets.

    The system gives these numbers to nobody else, neither before it starts nor while it is down: they are below those
    of outgoing connections and of servers that take any port.
    """
    ports: list[int] = []
    # Hypothesis seeds the usual numbers, the same in each process.
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise AssertionError(f"there are no {count} free ports from {_PORTS.start} to {_PORTS.stop}")
