"""The files that artifact globs match."""

import os
from pathlib import Path

import pytest

from controller.agent.errors import AgentError
from controller.agent.globs import collect


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    for name in ("dist/a.whl", "dist/sub/b.whl", "dist/sub/deep/c.txt", "dist/.hidden", "report.xml", "other/x.log"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(name)
    return made


@pytest.mark.parametrize(
    ("globs", "found"),
    [
        (["dist/**/*"], ["dist/.hidden", "dist/a.whl", "dist/sub/b.whl", "dist/sub/deep/c.txt"]),
        (["dist/**"], ["dist/.hidden", "dist/a.whl", "dist/sub/b.whl", "dist/sub/deep/c.txt"]),
        (["dist"], ["dist/.hidden", "dist/a.whl", "dist/sub/b.whl", "dist/sub/deep/c.txt"]),
        (["dist/"], ["dist/.hidden", "dist/a.whl", "dist/sub/b.whl", "dist/sub/deep/c.txt"]),
        (["**/*.whl"], ["dist/a.whl", "dist/sub/b.whl"]),
        (["dist/*.whl"], ["dist/a.whl"]),
        (["*.xml", "./report.xml", "other/[xy].l?g"], ["other/x.log", "report.xml"]),
        (["**/deep/**"], ["dist/sub/deep/c.txt"]),
        (["dist/**/sub/**/*.txt"], ["dist/sub/deep/c.txt"]),
    ],
)
def test_matches_are_sorted(root: Path, globs: list[str], found: list[str]) -> None:
    assert collect(str(root), globs) == found


@pytest.mark.parametrize("glob", ["nothing/*", "dist/*.exe", "report.xml/x"])
def test_glob_without_a_match_is_an_error_that_names_it(root: Path, glob: str) -> None:
    with pytest.raises(AgentError) as caught:
        collect(str(root), ["report.xml", glob])
    assert glob in str(caught.value)


@pytest.mark.parametrize("glob", ["/etc/*", "../*", "dist/../../x", "", "."])
def test_glob_outside_of_the_workspace_is_refused(root: Path, glob: str) -> None:
    with pytest.raises(AgentError, match="does not stay below"):
        collect(str(root), [glob])


def test_links_to_folders_are_not_followed(root: Path) -> None:
    (root / "loop").symlink_to(".")
    (root / "out").symlink_to("/etc")
    with pytest.raises(AgentError):
        collect(str(root), ["**/passwd"])
    assert "loop" in collect(str(root), ["**"])
    assert not [path for path in collect(str(root), ["**"]) if path.startswith(("loop/", "out/"))]


def test_empty_folders_come_after_the_files(root: Path) -> None:
    (root / "dist" / "a-empty").mkdir()
    assert collect(str(root), ["dist/sub", "dist/a*"]) == [
        "dist/a.whl",
        "dist/sub/b.whl",
        "dist/sub/deep/c.txt",
        "dist/a-empty/",
    ]


def test_optional_glob_may_match_nothing(root: Path) -> None:
    assert collect(str(root), ["report.xml"], optional=["none/**", "other"]) == ["other/x.log", "report.xml"]
    assert collect(str(root), [], optional=["none"]) == []


def test_many_double_stars_take_bounded_time(root: Path) -> None:
    with pytest.raises(AgentError):
        collect(str(root), ["/".join(["**"] * 20) + "/nothing"])


@pytest.mark.parametrize(
    ("glob", "reason"),
    [
        ("pipe", "matches no file: it is a named pipe, a socket or a device"),
        ("./empty/sub", "matches no file: the folder has no files"),
        ("nothing", "matches no file$"),
        ("nothing/at/all", "matches no file$"),
    ],
)
def test_a_name_that_is_no_file_is_explained(root: Path, glob: str, reason: str) -> None:
    os.mkfifo(root / "pipe")
    (root / "empty" / "sub").mkdir(parents=True)
    with pytest.raises(AgentError, match=reason):
        collect(str(root), [glob])
