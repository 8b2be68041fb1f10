"""The reason of an agent's failure comes from the end of its log, without secrets or control characters."""

from __future__ import annotations

from typing import Any

import pytest

from controller.operator.agent_messages import failure_reason, runtime_error


@pytest.mark.parametrize(
    ("terminated", "reason"),
    [
        (None, ""),
        ({"exitCode": 0, "message": "c8s agent: fine"}, ""),
        ({"exitCode": 1}, ""),
        ({"exitCode": 1, "message": "stored 3 files"}, ""),
        ({"exitCode": 1, "message": "cache: kept\nc8s agent: no file matches out/**\n"}, "no file matches out/**"),
        ({"exitCode": 1, "message": "c8s agent: a\x1b]0;x\x07b\u202e"}, "a\ufffd]0;x\ufffdb\ufffd"),
        ({"exitCode": 137, "reason": "OOMKilled", "message": "c8s agent: x"}, "the agent ran out of memory"),
    ],
)
def test_reason_is_the_last_line_of_the_agent(terminated: dict[str, object] | None, reason: str) -> None:
    assert failure_reason(terminated, str) == reason


def test_secrets_in_names_of_files_are_masked() -> None:
    terminated = {"exitCode": 1, "message": "c8s agent: can't read out/correct-horse-battery"}
    assert failure_reason(terminated, lambda text: text.replace("correct-horse-battery", "***")) == "can't read out/***"
    assert failure_reason(terminated, lambda _: None) == "", "it can't be masked yet"


def test_reason_is_at_most_300_characters_long() -> None:
    assert len(failure_reason({"exitCode": 1, "message": "c8s agent: " + "x" * 5000}, str)) == 300


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, ""),
        ({"running": {}}, ""),
        ({"terminated": {"reason": "Error", "message": "the container's own"}}, ""),
        ({"terminated": {"reason": "StartError"}}, ""),
        (
            {"terminated": {"reason": "StartError", "message": 'exec: "./hunter2222":\nnot found'}},
            'exec: "./***":\ufffdnot found',
        ),
        ({"waiting": {"reason": "CreateContainerError", "message": "TOKEN=hunter2222"}}, "TOKEN=***"),
        ({"waiting": {"reason": "ErrImagePull", "message": "hunter2222"}}, ""),
    ],
)
def test_text_of_the_container_runtime_has_no_secrets(state: dict[str, Any], expected: str) -> None:
    assert runtime_error(state, lambda text: text.replace("hunter2222", "***")) == expected


def test_text_of_the_container_runtime_waits_until_it_can_be_masked() -> None:
    state = {"terminated": {"reason": "StartError", "message": "x"}}
    assert runtime_error(state, lambda _: None) is None
