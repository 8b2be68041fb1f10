"""What the API would reject of a step's artifacts is refused before they are packed."""

import pytest

from controller.agent.errors import AgentError
from controller.agent.transfer.upload import check_listable


def test_too_many_files_are_refused_with_their_number() -> None:
    with pytest.raises(AgentError, match="the artifacts are 200001 files; at most 200000 can be stored"):
        check_listable([str(number) for number in range(200_001)])


def test_too_long_path_is_refused_with_its_length() -> None:
    check_listable(["d/" * 2000, "x" * 4096])
    with pytest.raises(AgentError, match=r"of the artifact d/d/.* has 6001 characters; at most 4096 are allowed"):
        check_listable(["short", "d/" * 3000 + "x"])
