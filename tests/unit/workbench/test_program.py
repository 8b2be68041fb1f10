"""Ctrl-C while `c8s` is being loaded, and while it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

_INTERRUPT = "os.kill(os.getpid(), signal.SIGINT)"
_ON_IMPORT = f"""
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "workbench.cli.main":
            {_INTERRUPT}
sys.meta_path.insert(0, Finder())
"""
_AT_EXIT = f"""
import atexit
atexit.register(lambda: {_INTERRUPT})
"""
_IN_COMMAND = f"""
import workbench.cli.main
workbench.cli.main.main = lambda: {_INTERRUPT}
"""
_IN_NEW_LOOP = f"""
import asyncio
class Loop(asyncio.SelectorEventLoop):
    def __init__(self):
        {_INTERRUPT}
        super().__init__()
asyncio.events.new_event_loop = Loop
"""
_BEFORE_THE_TASK = f"""
import asyncio
class Loop(asyncio.SelectorEventLoop):
    is_first = True
    def create_task(self, *given, **named):
        if self.is_first:
            self.is_first = False
            {_INTERRUPT}
        return super().create_task(*given, **named)
asyncio.events.new_event_loop = Loop
"""
_IGNORED = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
"""


def start(setup: str, command: str = "--help") -> tuple[int, str, str]:
    program = f"import os, signal, sys\n{setup}\nfrom workbench.__main__ import main\nsys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program, command], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("setup", [_ON_IMPORT, _AT_EXIT, _IN_COMMAND])
def test_ctrl_c_prints_no_traceback(setup: str) -> None:
    code, _, errors = start(setup)
    assert (code, errors) == (130, "c8s: interrupted\n")


@pytest.mark.parametrize("setup", [_IN_NEW_LOOP, _BEFORE_THE_TASK])
def test_ctrl_c_while_the_event_loop_begins_prints_no_warning(setup: str) -> None:
    code, _, errors = start(setup, "runs")
    assert (code, errors) == (130, "c8s: interrupted\n")


def test_nothing_is_loaded_before_ctrl_c_is_handled() -> None:
    program = "import sys; before = set(sys.modules); import workbench.__main__; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert set(done.stdout.split()) <= {"workbench", "workbench.__main__", "_signal", "os", "sys"}


def test_ctrl_c_is_ignored_where_the_shell_ignores_it() -> None:
    code, out, errors = start(_IGNORED + _ON_IMPORT)
    assert (code, errors) == (0, "")
    assert out.startswith("Usage: c8s")
