"""The agent of a step that keeps its workspace when it fails, as a pod runs it."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from tests.integration.agent.test_agent import Api, Pod, api, pod

__all__ = ["api", "pod"]


async def end(pod: Pod, folder: Path, code: str | None, *globs: str) -> tuple[int, str]:
    """The step ends with this exit code: empty when it was killed, None when it never began."""
    told = folder / "code"
    if code is not None:
        told.write_text(code)
    return await pod.upload(*globs, **({"C8S_EXIT_FILE": str(told)} | {"C8S_KEEP_WORKSPACE": "1"}))


def names(api: Api) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(api.objects["workspace"])) as archive:
        return {member.name for member in archive.getmembers()}


@pytest.mark.parametrize("code", ["1\n", "143\n", ""])
async def test_a_failed_step_s_workspace_is_stored_and_told_of(api: Api, pod: Pod, tmp_path: Path, code: str) -> None:
    (pod.workspace / "build.log").write_text("error: a secret that nobody is told")
    done, out = await end(pod, tmp_path, code)
    archive = api.objects["workspace"]
    told = {"size": len(archive), "sha256": hashlib.sha256(archive).hexdigest()}
    assert (done, api.workspaces.sent) == (0, told)
    assert api.workspaces.told == [{**told, "files": 5, "leftOut": 0}]
    assert {"build.log", "json", "json/__init__.py"} <= names(api)
    assert "kept the workspace: 5 files" in out
    assert "secret" not in out, "what is in it is nobody's business"


@pytest.mark.parametrize("code", ["0\n", None])
async def test_of_a_step_that_succeeded_or_never_began_nothing_is_kept(
    api: Api, pod: Pod, tmp_path: Path, code: str | None
) -> None:
    assert await end(pod, tmp_path, code) == (0, "")
    assert (api.workspaces.told, "workspace" in api.objects) == ([], False)


async def test_a_step_whose_artifacts_are_not_there_has_failed_and_is_kept(api: Api, pod: Pod, tmp_path: Path) -> None:
    done, out = await end(pod, tmp_path, "0\n", "dist/*")
    assert (done, "dist/*" in out) == (1, True), "its artifacts are missing all the same"
    assert api.workspaces.told[0]["files"] == 4


async def test_what_is_too_large_is_told_and_fails_nothing(api: Api, pod: Pod, tmp_path: Path) -> None:
    (pod.workspace / "noise").write_bytes(os.urandom(200_000))
    api.workspaces.terms["limit"] = 100 * 1024
    done, out = await end(pod, tmp_path, "1\n")
    assert (done, "workspace: not kept: it has more than" in out) == (0, True)
    assert "packed" in api.workspaces.told[0]["problem"]
    assert "workspace" not in api.objects


async def test_what_is_not_wanted_is_not_even_packed(api: Api, pod: Pod, tmp_path: Path) -> None:
    api.workspaces.terms = {"wanted": False, "limit": 1, "why": "the run was cancelled"}
    done, out = await end(pod, tmp_path, "143\n")
    assert (done, api.workspaces.told) == (0, [{"problem": "the run was cancelled"}])
    assert "not kept: the run was cancelled" in out


async def test_the_kept_workspace_is_what_a_copy_unpacks(api: Api, pod: Pod, tmp_path: Path) -> None:
    (pod.workspace / "python").symlink_to("/usr/bin/python3")
    (pod.workspace / "empty").mkdir()
    await end(pod, tmp_path, "1\n")
    api.serve("source", api.objects["workspace"])
    other = tmp_path / "other"
    other.mkdir()
    code, out = await pod.run("fetch", C8S_FETCH_SOURCE="1", C8S_FETCH_KEPT="1", C8S_WORKSPACE=str(other))
    assert (code, "fetched the kept workspace: 5 files" in out) == (0, True)
    assert (other / "python").readlink() == Path("/usr/bin/python3")
    assert (other / "empty").is_dir()
    code, out = await pod.run("fetch", C8S_FETCH_SOURCE="1", C8S_WORKSPACE=str(tmp_path / "other"))
    assert (code, "an absolute path; it is refused" in out) == (1, True), "a source may hold no such link"
