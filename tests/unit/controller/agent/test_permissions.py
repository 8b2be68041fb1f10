"""The workspace is shared by containers of different users."""

from __future__ import annotations

from pathlib import Path

from controller.agent.permissions import grant_access


def mode(path: Path) -> int:
    return path.lstat().st_mode & 0o777


def test_everybody_in_the_pod_may_write_what_was_fetched_and_run_what_could_be_run(tmp_path: Path) -> None:
    folder = tmp_path / "src"
    folder.mkdir(mode=0o700)
    plain, script = folder / "a.py", folder / "run.sh"
    plain.write_text("")
    script.write_text("")
    plain.chmod(0o600)
    script.chmod(0o744)
    grant_access(str(tmp_path))
    assert (mode(folder), mode(plain), mode(script)) == (0o777, 0o666, 0o777)


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
