"""The `.git` for steps with `git: full`: what git says in it, and what is not in it."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent.archive.unpack import Extractor
from workbench.client.run_request import RunRequest
from workbench.submit.archive import SourceArchive, pack_archive
from workbench.submit.history import with_history
from workbench.submit.repository import WorktreeError
from workbench.submit.submit import RunSubmission
from workbench.submit.worktree import scan


def git(folder: Path, *arguments: str) -> str:
    own = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    done = subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "mine"
    (root / "sub").mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    for name in ("one", "two"):
        (root / "sub" / name).write_text(name)
        git(root, "add", ".")
        git(root, "commit", "-q", "-m", name)
        git(root, "tag", f"v-{name}")
    git(root, "tag", "-a", "-m", "annotated", "v2")
    git(root, "config", "http.extraHeader", "Authorization: secret")
    git(root, "checkout", "-q", "-b", "private")
    git(root, "commit", "-q", "--allow-empty", "-m", "private words")
    git(root, "tag", "v-private")
    git(root, "checkout", "-q", "main")
    return root


def extracted(root: Path, target: Path, *, skip_git: bool = False) -> SourceArchive:
    target.mkdir()
    with with_history(scan(root)) as tree, pack_archive(tree) as archive:
        extractor = Extractor(str(target), skip_git=skip_git)
        try:
            extractor.unpack(io.BytesIO(archive.path.read_bytes()))
        finally:
            extractor.close()
        return archive


def test_git_knows_history_tags_and_changes(repository: Path, tmp_path: Path) -> None:
    extracted(repository, tmp_path / "t")
    assert git(tmp_path / "t", "describe") == "v2"
    assert git(tmp_path / "t", "log", "--format=%s") == "two\none"
    assert git(tmp_path / "t", "status", "--porcelain", "--branch") == "## main"
    (tmp_path / "t" / "sub" / "one").write_text("changed")
    assert git(tmp_path / "t", "diff", "--name-only") == "sub/one"
    git(tmp_path / "t", "fsck", "--strict")


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder on another file system than temporary ones, with a name that needs quotes in lists of paths."""
    parent = Path("/dev/shm")
    if not parent.is_dir() or parent.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("there is no other file system")
    with tempfile.TemporaryDirectory(prefix='a:b"c\\', dir=parent) as folder:
        yield Path(folder)


def test_repository_and_temporary_files_may_be_on_different_file_systems(
    repository: Path, tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    extracted(repository, tmp_path / "t")
    assert git(tmp_path / "t", "describe") == "v2"


def test_nothing_is_written_into_the_repository(repository: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (repository / ".git").rglob("*")}
    extracted(repository, tmp_path / "t")
    assert {path: path.stat().st_mtime_ns for path in (repository / ".git").rglob("*")} == before


def test_changes_of_the_working_tree_are_changes_in_the_step(repository: Path, tmp_path: Path) -> None:
    (repository / "sub" / "two").write_text("edited")
    (repository / "new").write_text("new")
    extracted(repository, tmp_path / "t")
    assert git(tmp_path / "t", "status", "--porcelain") == "M sub/two\n?? new"


def test_nothing_but_the_history_of_the_commit_is_sent(repository: Path, tmp_path: Path) -> None:
    extracted(repository, tmp_path / "t")
    assert git(tmp_path / "t", "for-each-ref", "--format=%(refname:short)").split() == ["main", "v-one", "v-two", "v2"]
    assert "secret" not in (tmp_path / "t" / ".git" / "config").read_text()
    assert "private words" not in git(tmp_path / "t", "log", "--all", "--format=%s")


def test_detached_and_shallow_repositories_are_sent(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    git(tmp_path / "shallow", "checkout", "-q", "--detach")
    extracted(tmp_path / "shallow", tmp_path / "t")
    assert git(tmp_path / "t", "log", "--format=%s") == "two"
    assert git(tmp_path / "t", "status", "--porcelain", "--branch") == "## HEAD (no branch)"


def test_other_steps_get_no_git(repository: Path, tmp_path: Path) -> None:
    extracted(repository, tmp_path / "t", skip_git=True)
    assert [path.name for path in (tmp_path / "t").iterdir()] == ["sub"]


def test_new_tag_changes_the_contents(repository: Path, tmp_path: Path) -> None:
    first = extracted(repository, tmp_path / "a")
    assert extracted(repository, tmp_path / "b").contents_digest == first.contents_digest
    git(repository, "tag", "v3")
    assert extracted(repository, tmp_path / "c").contents_digest != first.contents_digest


def test_folder_without_a_commit_is_an_error(repository: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    for root in (empty, repository / "sub"):
        with pytest.raises(WorktreeError, match="git: full"), with_history(scan(root)):
            pass


def test_history_is_packed_for_steps_that_ask_for_it() -> None:
    def submission(**step: str) -> RunSubmission:
        return RunSubmission(RunRequest({"steps": [{"name": "a", **step}]}), "key")

    assert submission(git="full").has_history
    assert not submission().has_history
