"""A command that is interrupted deletes its temporary files, and ends in any case."""

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
    assert process.wait(60) == 128 + sign
    assert not Path(folder).exists()
    process.stdout.close()


_HANGING_COMMAND = """
import asyncio, functools, sys, time
import click
from workbench.cli import options
from workbench.cli.options import run_async

# Not the three seconds that people wait.
options.ExitDeadline = functools.partial(options.ExitDeadline, 0.3)

async def work():
    print("started", flush=True)
    await asyncio.to_thread(time.sleep, 60)

try:
    run_async(work())
except click.exceptions.Exit as end:
    sys.exit(end.exit_code)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_command_ends_though_a_thread_hangs(sign: signal.Signals, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _HANGING_COMMAND], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(sign)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (code, "c8s: exiting without waiting any longer\n")


def test_second_ctrl_c_ends_a_command_at_once() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _HANGING_COMMAND], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        # A signal that arrives before the first one is handled is merged with it.
        process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    process.communicate()
