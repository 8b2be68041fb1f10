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
_IGNORED = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
"""


def start(setup: str) -> tuple[int, str, str]:
    program = f"import os, signal, sys\n{setup}\nfrom workbench.__main__ import main\nsys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program, "--help"], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("setup", [_ON_IMPORT, _AT_EXIT, _IN_COMMAND])
def test_ctrl_c_prints_no_traceback(setup: str) -> None:
    code, _, errors = start(setup)
    assert (code, errors) == (130, "c8s: interrupted\n")


def test_ctrl_c_is_ignored_where_the_shell_ignores_it() -> None:
    code, out, errors = start(_IGNORED + _ON_IMPORT)
    assert (code, errors) == (0, "")
    assert out.startswith("Usage: c8s")
