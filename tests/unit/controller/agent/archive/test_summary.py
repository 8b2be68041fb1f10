"""Numbers in the log lines of the agent."""

from __future__ import annotations

import pytest

from controller.agent.archive.summary import describe_archive


@pytest.mark.parametrize(
    ("files", "noun", "text"),
    [
        (0, "file", "0 files, 310 bytes packed"),
        (1, "file", "1 file, 310 bytes packed"),
        (2, "artifact", "2 artifacts, 310 bytes packed"),
        (1, "artifact", "1 artifact, 310 bytes packed"),
    ],
)
def test_a_single_file_is_in_the_singular(files: int, noun: str, text: str) -> None:
    assert describe_archive(files, 310, noun) == text
