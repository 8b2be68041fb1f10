"""Termination messages: path rewriting and the file of a message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from embedded.kubelet.runtime.termination_message import TerminationMessage

Json = dict[str, Any]


def test_the_termination_message_path_is_rewritten(tmp_path: Path) -> None:
    container = {"name": "main", "terminationMessagePath": "/dev/termination-log"}
    message = TerminationMessage.of(container, [], tmp_path)
    mine = str(tmp_path / "messages" / "main")
    assert message.rewrite("echo x > /dev/termination-log; exit 1") == f"echo x > {mine}; exit 1"
    for other in (
        "/dev/termination-log2",
        "/dev/termination-log/x",
        "/x/dev/termination-log",
        "/dev/termination-log.bak",
    ):
        assert message.rewrite(other) == other
    Path(mine).write_bytes(b"x" * 5000)
    assert message.read() == b"x" * 4096
    assert TerminationMessage.of(container, [], tmp_path).read() == b""
