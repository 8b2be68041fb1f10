"""Permissions for containers of different users that share a workspace."""

from __future__ import annotations

from pathlib import Path

from controller.agent.permissions import grant_access


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o777


def test_all_users_may_write_files_and_execute_executables(tmp_path: Path) -> None:
    folder = tmp_path / "src"
    folder.mkdir(mode=0o700)
    plain, script = folder / "a.py", folder / "run.sh"
    plain.write_text("")
    script.write_text("")
    plain.chmod(0o600)
    script.chmod(0o744)
    grant_access(str(tmp_path))
    assert mode(folder) == 0o777
    assert mode(plain) == 0o666
    assert mode(script) == 0o777


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o600)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "link").symlink_to(outside)
    (workspace / "nowhere").symlink_to("missing")
    grant_access(str(workspace))
    assert mode(outside) == 0o600
