from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.integration.agent.fake_api import FakeAgentApi
from tests.integration.agent.pod import Pod


@pytest.fixture
async def api() -> AsyncIterator[FakeAgentApi]:
    found = FakeAgentApi()
    runner = web.AppRunner(found.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    found.url = f"http://{host}:{port}"
    yield found
    await runner.cleanup()


@pytest.fixture
def pod(tmp_path: Path, api: FakeAgentApi) -> Pod:
    return Pod(tmp_path, api)
