"""The agent of a step whose workspace is saved when it fails, as a pod runs it."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from tests.integration.agent.fake_api import FakeAgentApi
from tests.integration.agent.pod import Pod


async def end(pod: Pod, code: str | None, *globs: str) -> tuple[int, str]:
    """End the step with this exit code: empty if it was killed, None if it never started."""
    return await pod.upload(*globs, code=code, C8S_KEEP_WORKSPACE="1")


def names(api: FakeAgentApi) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(api.objects["workspace"])) as archive:
        return {member.name for member in archive.getmembers()}


@pytest.mark.parametrize("code", ["1", "143", ""])
async def test_workspace_of_a_failed_step_is_stored_and_reported(
    api: FakeAgentApi, pod: Pod, tmp_path: Path, code: str
) -> None:
    (pod.workspace / "build.log").write_text("error: a secret")
    done, out = await end(pod, code)
    archive = api.objects["workspace"]
    stored = {"size": len(archive), "sha256": hashlib.sha256(archive).hexdigest()}
    assert (done, api.workspaces.sent) == (0, stored)
    assert api.workspaces.reports == [{**stored, "files": 5, "leftOut": 0}]
    assert {"build.log", "json", "json/__init__.py"} <= names(api)
    assert "saved the workspace: 5 files" in out
    assert "secret" not in out, "its content is not printed"


@pytest.mark.parametrize("code", ["0", None])
async def test_workspace_of_a_successful_or_unstarted_step_is_not_saved(
    api: FakeAgentApi, pod: Pod, code: str | None
) -> None:
    assert await end(pod, code) == (0, "")
    assert (api.workspaces.reports, "workspace" in api.objects) == ([], False)


async def test_workspace_of_a_step_without_its_artifacts_is_saved(api: FakeAgentApi, pod: Pod, tmp_path: Path) -> None:
    done, out = await end(pod, "0", "dist/*")
    assert (done, "dist/*" in out) == (1, True), "missing artifacts still fail the step"
    assert api.workspaces.reports[0]["files"] == 4


async def test_workspace_beyond_the_limit_is_reported_and_fails_nothing(
    api: FakeAgentApi, pod: Pod, tmp_path: Path
) -> None:
    (pod.workspace / "noise").write_bytes(os.urandom(200_000))
    api.workspaces.policy["limit"] = 100 * 1024
    done, out = await end(pod, "1")
    assert (done, "workspace: not saved: it has more than" in out) == (0, True)
    assert "packed" in api.workspaces.reports[0]["problem"]
    assert "workspace" not in api.objects


async def test_workspace_that_is_not_wanted_is_not_packed(api: FakeAgentApi, pod: Pod, tmp_path: Path) -> None:
    api.workspaces.policy = {"wanted": False, "limit": 1, "why": "the run was cancelled"}
    done, out = await end(pod, "143")
    assert (done, api.workspaces.reports) == (0, [{"problem": "the run was cancelled"}])
    assert "not saved: the run was cancelled" in out


async def test_saved_workspace_is_extracted_for_a_debug_copy(api: FakeAgentApi, pod: Pod, tmp_path: Path) -> None:
    (pod.workspace / "python").symlink_to("/usr/bin/python3")
    (pod.workspace / "empty").mkdir()
    await end(pod, "1")
    api.serve("source", api.objects["workspace"])
    other = tmp_path / "other"
    other.mkdir()
    code, out = await pod.run(C8S_FETCH_SOURCE="1", C8S_FETCH_KEPT="1", C8S_WORKSPACE=str(other))
    assert (code, "fetched the saved workspace: 5 files" in out) == (0, True)
    assert (other / "python").readlink() == Path("/usr/bin/python3")
    assert (other / "empty").is_dir()
    code, out = await pod.run(C8S_FETCH_SOURCE="1", C8S_WORKSPACE=str(tmp_path / "other"))
    assert (code, "an absolute path; it is refused" in out) == (3, True), "a source may not contain such a link"
