from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.agent.fake_api import FakeAgentApi, serving
from tests.integration.agent.pod import Pod


@pytest.fixture
async def api() -> AsyncIterator[FakeAgentApi]:
    async with serving(FakeAgentApi()) as found:
        yield found


@pytest.fixture
def pod(tmp_path: Path, api: FakeAgentApi) -> Pod:
    return Pod(tmp_path, api)
