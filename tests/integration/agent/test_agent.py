"""The agent as a pod runs it: a program in an isolated interpreter, against a fake of the API."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.integration.agent.fake_api import TOKEN, FakeAgentApi
from tests.integration.agent.pod import Pod, ended, packed


async def test_source_and_artifacts_are_extracted_into_the_workspace(api: FakeAgentApi, pod: Pod) -> None:
    api.serve("source", packed(src_main=b"source", src_gen=b"old"))
    api.serve("artifacts/build", packed(src_gen=b"generated"))
    code, out = await pod.run(C8S_FETCH_SOURCE="1", C8S_FETCH_ARTIFACTS="build")
    assert code == 0, out
    assert (pod.workspace / "src/main").read_bytes() == b"source"
    assert (pod.workspace / "src/gen").read_bytes() == b"generated"
    assert "fetched the source: 2 files" in out


async def test_download_is_retried(api: FakeAgentApi, pod: Pod) -> None:
    api.serve("source", packed(a=b"a"))
    api.fail = 2
    code, out = await pod.run(C8S_FETCH_SOURCE="1")
    assert code == 0
    assert "retrying in" in out


async def test_missing_artifacts_and_damaged_archives_are_reported(api: FakeAgentApi, pod: Pod) -> None:
    code, out = await pod.run(C8S_FETCH_ARTIFACTS="test")
    assert (code, "no artifacts/test" in out) == (3, True)
    api.serve("source", gzip.compress(b"x" * 512))
    code, out = await pod.run(C8S_FETCH_SOURCE="1")
    assert (code, "damaged" in out) == (3, True)


async def test_artifacts_are_stored_after_the_end_of_the_step(api: FakeAgentApi, pod: Pod) -> None:
    (pod.workspace / "dist").mkdir()
    (pod.workspace / "dist" / "a.txt").write_bytes(b"content")
    code, out = await pod.upload("dist/**/*")
    assert code == 0, out
    archive = api.objects["upload-build"]
    digest = hashlib.sha256(archive).hexdigest()
    assert api.uploads["build"] == {"size": len(archive), "sha256": digest}
    mode = (pod.workspace / "dist" / "a.txt").stat().st_mode & 0o777
    assert api.manifests["build"] == {
        "files": [{"path": "dist/a.txt", "size": 7, "sha256": hashlib.sha256(b"content").hexdigest(), "mode": mode}],
        "archive": {"size": len(archive), "sha256": digest},
    }
    with tarfile.open(fileobj=io.BytesIO(archive)) as found:
        assert found.getnames() == ["dist/a.txt"]


async def test_upload_is_retried(api: FakeAgentApi, pod: Pod) -> None:
    api.fail = 1
    (pod.workspace / "a").write_bytes(b"a")
    code, out = await pod.upload("a")
    assert code == 0, out
    assert "build" in api.manifests


async def test_glob_without_a_match_fails_and_commits_nothing(api: FakeAgentApi, pod: Pod) -> None:
    code, out = await pod.upload("dist/*")
    assert code == 1
    assert "dist/*" in out
    assert api.manifests == {}


async def test_optional_glob_may_match_nothing(api: FakeAgentApi, pod: Pod) -> None:
    optional = json.dumps(["screenshots/**", "a.txt"])
    (pod.workspace / "a.txt").write_text("a")
    code, output = await pod.upload(C8S_OPTIONAL_ARTIFACTS=optional)
    assert (code, [file["path"] for file in api.manifests["build"]["files"]]) == (0, ["a.txt"]), output


async def test_rejected_token_is_reported_without_showing_it(api: FakeAgentApi, pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}-of-another-run")
    code, out = await pod.run(C8S_FETCH_SOURCE="1")
    assert (code, "not your run" in out) == (3, True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"C8S_API_URL": ""}, "C8S_API_URL"),
        ({"C8S_API_URL": "ftp://x"}, "C8S_API_URL"),
        ({"C8S_TOKEN_FILE": "/nope"}, "/nope"),
        ({"C8S_WORKSPACE": "/nope"}, "/nope"),
        ({"C8S_GATE": ""}, "C8S_GATE"),
        ({"C8S_GATE": "/nope"}, "/nope"),
    ],
)
async def test_wrong_settings_have_an_exit_code_of_their_own(pod: Pod, change: dict[str, str], named: str) -> None:
    code, out = await ended(await pod.start(**change))
    assert (code, named in out) == (2, True)
