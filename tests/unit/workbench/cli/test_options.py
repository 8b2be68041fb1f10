"""A command that is terminated deletes its temporary files."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

_COMMAND = """
import asyncio, sys, tempfile
import click
from workbench.cli.options import run_async

async def work():
    with tempfile.TemporaryDirectory() as folder:
        print(folder, flush=True)
        await asyncio.sleep(60)

try:
    run_async(work())
except click.exceptions.Exit as end:
    sys.exit(end.exit_code)
"""


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGHUP])
def test_terminated_command_leaves_no_temporary_files(sign: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", _COMMAND], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = process.stdout.readline().strip()
    process.send_signal(sign)
    assert process.wait(20) == 128 + sign
    assert not Path(folder).exists()
    process.stdout.close()
