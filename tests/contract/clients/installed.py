"""Imports clients that may be missing: they live in an environment of their own."""

from __future__ import annotations

import importlib
import os
import warnings
from typing import Any

import pytest

_HOW = (
    "python3 -m venv .venv-clients && .venv-clients/bin/pip install -r tests/contract/clients/requirements.txt, then "
    ".venv-clients/bin/pytest tests/contract/clients"
)


def import_client(module: str) -> Any:
    """Import a module of a client, or skip the calling test module where the client is not installed.

    With C8S_TEST_CLIENTS=required, a missing client is an error. Warnings on import are the client's own affair.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if os.environ.get("C8S_TEST_CLIENTS") == "required":
            raise
        reason = f"{error.name} is not installed in this environment: {_HOW}"
    pytest.skip(reason, allow_module_level=True)
