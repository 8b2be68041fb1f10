"""What a container uses, as its engine says."""

from types import SimpleNamespace
from typing import Any

import pytest

from embedded.kubelet.runtime.engine.containers.container import EngineContainer
from embedded.kubelet.runtime.engine.errors import EngineUnreachableError
from embedded.kubelet.runtime.interface import Usage

STATS = {
    "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}},
    "memory_stats": {"usage": 5000, "stats": {"inactive_file": 1000}},
}


class Client:
    """An engine that answers the one call, or raises."""

    info = SimpleNamespace(name="docker")

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def get(self, path: str, **_: str) -> Any:
        assert path == "/containers/abc/stats"
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def container(answer: Any) -> EngineContainer:
    image: Any = SimpleNamespace(reported_id="i", stop_signal="SIGTERM")
    client: Any = Client(answer)
    nothing: Any = None
    return EngineContainer(client, "abc", image, nothing, None, nothing)


async def test_cached_files_do_not_count_as_memory() -> None:
    assert await container(STATS).usage() == Usage(1.5, 4000)


@pytest.mark.parametrize(
    "answer", [{}, {"cpu_stats": {}, "memory_stats": {}}, {"memory_stats": None}, EngineUnreachableError("gone")]
)
async def test_what_an_engine_does_not_say_is_not_known(answer: Any) -> None:
    assert await container(answer).usage() is None
