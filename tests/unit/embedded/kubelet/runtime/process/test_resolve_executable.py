import os
from pathlib import Path

import pytest

from embedded.kubelet.runtime.interface import StartError
from embedded.kubelet.runtime.process.process import resolve_executable


def test_message_shows_the_search_path_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartError, match="not found in") as raised:
        resolve_executable("no-such-tool", os.environ["PATH"], "/")
    assert f"({tmp_path})" in str(raised.value)


def test_message_hides_a_search_path_that_the_spec_sets() -> None:
    """The variable may come from a Secret, and the message is in the status of the pod."""
    with pytest.raises(StartError, match="that its spec sets") as raised:
        resolve_executable("no-such-tool", "the-value-of-a-secret", "/")
    assert "the-value-of-a-secret" not in str(raised.value)


def test_folders_that_cannot_be_entered_are_passed_over() -> None:
    # For root, who may enter all folders, a name that is too long is as good.
    unusable = "/" + "x" * 300
    assert resolve_executable("sh", f"{unusable}:/usr/bin:/bin", "/") in ("/usr/bin/sh", "/bin/sh")
    with pytest.raises(StartError, match="does not exist"):
        resolve_executable(f"{unusable}/sh", "/bin", "/")
