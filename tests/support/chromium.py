"""A headless Chromium of this machine, driven by Playwright."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.tools import find_tool


def launch_arguments() -> list[str]:
    """What Chromium is started with. As root, and in many containers, it can't make a sandbox of its own."""
    return ["--no-sandbox"] if os.geteuid() == 0 or os.environ.get("C8S_TEST_TOOLS") == "required" else []


@contextmanager
def run_chromium() -> Iterator[Any]:
    """A browser. Skips where Playwright is not installed; on CI that is an error, as for other tools."""
    if os.environ.get("C8S_TEST_TOOLS") != "required":
        pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[test]'")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_tool("chromium"), args=launch_arguments())
        try:
            yield browser
        finally:
            browser.close()
