"""Commands in steps: what a person may say, which pod is meant, and how Kubernetes tells an end."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.routes.exec import newest_running, parse_control
from controller.kube.exec import ExitStatus, parse_exit_status


def pod(name: str, attempt: str, phase: str = "Running") -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"c8s.dev/attempt": attempt}}, "status": {"phase": phase}}


def test_the_running_pod_of_the_last_attempt_is_meant() -> None:
    assert newest_running([pod("a", "2"), pod("c", "10"), pod("b", "11", "Failed")]) == "c"
    assert newest_running([pod("a", "1", "Pending")]) is None


def test_a_terminal_is_resized_and_input_ended() -> None:
    assert parse_control('{"type": "resize", "columns": 80, "rows": 24}') == ("resize", 80, 24)
    assert parse_control('{"type": "eof"}') == ("eof", 0, 0)


@pytest.mark.parametrize(
    "text",
    ['{"type":"resize","columns":0,"rows":1}', '{"type":"resize","columns":1e9,"rows":1}', "[]", "{", "[" * 99_999],
)
def test_invalid_control_frames_are_ignored(text: str) -> None:
    assert parse_control(text) is None


@given(st.text())
def test_no_text_breaks_the_conversation(text: str) -> None:
    parse_control(text)


@given(st.integers(1, 255))
def test_an_exit_code_is_read_from_the_verdict(code: int) -> None:
    causes = [{"reason": "ExitCode", "message": str(code)}]
    status = {"status": "Failure", "reason": "NonZeroExitCode", "message": "m", "details": {"causes": causes}}
    assert parse_exit_status(json.dumps(status).encode()) == ExitStatus(code, "m")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"status": "Success"}', ExitStatus(0)),
        (
            b'{"status": "Failure", "reason": "InternalError", "message": "no such file"}',
            ExitStatus(None, "no such file"),
        ),
        (b'{"status": "Failure", "reason": "NonZeroExitCode", "message": "m"}', ExitStatus(None, "m")),
        (b"nonsense", ExitStatus(None, "the server's exit status is not readable")),
        (b"[]", ExitStatus(None, "the server's exit status is not readable")),
    ],
)
def test_ends_of_all_kinds(data: bytes, found: ExitStatus) -> None:
    assert parse_exit_status(data) == found
