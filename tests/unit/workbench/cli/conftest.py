"""A fake controller, and a session of `c8s run` against it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.workbench.client.fake_api import FakeApi, serving
from workbench.cli.options import Target


@pytest.fixture
async def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def target(api: FakeApi, tmp_path: Path) -> AsyncIterator[Target]:
    async with serving(api, tmp_path) as endpoint:
        yield Target(endpoint=endpoint)
