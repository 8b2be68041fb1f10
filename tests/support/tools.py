"""Programs that some tests use, from the machine or from the environment that runs the tests."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest


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
