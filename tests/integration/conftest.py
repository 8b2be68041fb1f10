"""One live sandbox per test process, for the tests that do not start or stop one themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import C8s


@pytest.fixture(scope="session")
def c8s(tmp_path_factory: pytest.TempPathFactory) -> Iterator[C8s]:
    """The command, with its default sandbox up."""
    program = C8s(tmp_path_factory.mktemp("live"))
    program("up")
    yield program
    program("down")


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[C8s]:
    """The command with no sandbox at all; whatever the test leaves behind is ended."""
    program = C8s(tmp_path_factory.mktemp("fresh"))
    yield program
    for name in [folder.name for folder in (program.home / "state" / "c8s").glob("*")]:
        program("down", "--name", name, expect=None)
