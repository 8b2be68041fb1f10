"""Large sources, which the agents of one machine unpack once."""

import asyncio
import fcntl
import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from controller.agent.client import AgentClient, HashedBody
from controller.agent.errors import AgentError, NetworkError
from controller.agent.settings import AgentSettings
from tests.integration.agent.fake_api import FakeAgentApi
from tests.integration.agent.pod import Pod, packed

_SIZE = 17 * 1024**2


def large(**files: bytes) -> bytes:
    """An archive over the limit below which sources are not shared."""
    return packed(filler=os.urandom(_SIZE), **files)


def sharing(folder: Path) -> dict[str, str]:
    return {"C8S_FETCH_SOURCE": "1", "C8S_SHARED_SOURCES": str(folder)}


def trees(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tree"))


def other_pod(folder: Path, api: FakeAgentApi) -> Pod:
    folder.mkdir()
    return Pod(folder, api)


async def test_a_large_source_is_downloaded_once_and_no_step_sees_what_another_changes(
    tmp_path: Path, api: FakeAgentApi, pod: Pod
) -> None:
    api.serve("source", large(src_main=b"source"))
    shared = tmp_path / "shared"
    code, out = await pod.run(**sharing(shared))
    assert (code, "unpacked in" in out) == (0, True), out
    (pod.workspace / "src/main").write_bytes(b"changed")
    (pod.workspace / "src/new").write_bytes(b"new")
    (pod.workspace / "filler").unlink()
    # The archive is not needed any more.
    api.objects["source"] = api.objects["source"][:_SIZE]
    second = other_pod(tmp_path / "second", api)
    code, out = await second.run(**sharing(shared))
    assert (code, "unpacked in" in out, "copied in" in out) == (0, False, True), out
    assert (second.workspace / "src/main").read_bytes() == b"source"
    assert not (second.workspace / "src/new").exists()
    assert (second.workspace / "filler").stat().st_size == _SIZE
    assert (shared.stat().st_mode & 0o777, len(trees(shared))) == (0o700, 1)


async def test_the_copy_keeps_modes_links_and_the_permissions_of_the_workspace(
    tmp_path: Path, api: FakeAgentApi, pod: Pod
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, mode, content in (("run", 0o755, b"#!"), ("filler", 0o644, os.urandom(_SIZE)), ("-rf", 0o600, b"x")):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, 1_000_000_000
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "run"
        archive.addfile(link)
    api.serve("source", buffer.getvalue())
    pod.workspace.chmod(0o770)
    code, out = await pod.run(**sharing(tmp_path / "shared"))
    assert code == 0, out
    assert pod.workspace.stat().st_mode & 0o777 == 0o770
    assert ((pod.workspace / "run").stat().st_mode & 0o777, (pod.workspace / "run").stat().st_mtime) == (0o755, 10**9)
    assert ((pod.workspace / "link").readlink(), (pod.workspace / "-rf").read_bytes()) == (Path("run"), b"x")


async def test_a_damaged_download_is_never_shared(tmp_path: Path, api: FakeAgentApi, pod: Pod) -> None:
    whole = large(a=b"a")
    api.serve("source", whole)
    api.fail = 1
    code, out = await pod.run(**sharing(tmp_path / "shared"))
    assert (code, "retrying in" in out) == (0, True), out
    other = tmp_path / "other"
    api.serve("source", large(_up=b"x"))
    code, out = await other_pod(tmp_path / "third", api).run(**sharing(other))
    assert (trees(other), list(other.glob("*.part"))) == ([], []), out
    assert code == 3
    assert "absolute path" in out


@pytest.mark.parametrize("reads", [0, -1])
async def test_an_archive_with_another_digest_is_worth_a_retry_whatever_was_found_in_it(
    api: FakeAgentApi, pod: Pod, reads: int
) -> None:
    api.serve("source", b"x" * 100, sha256="0" * 64)
    client = AgentClient(AgentSettings(pod.environment))

    def consume(body: HashedBody) -> None:
        assert body.read(10) == b"x" * 10
        if reads >= 0:
            raise AgentError("it is refused")
        while body.read(7):
            pass

    with pytest.raises(NetworkError, match="damaged"):
        await asyncio.to_thread(lambda: client.stream(client.download_link("source"), "the source", consume))
    api.serve("source", b"x" * 100)
    if reads >= 0:
        with pytest.raises(AgentError, match="refused"):
            await asyncio.to_thread(lambda: client.stream(client.download_link("source"), "the source", consume))


async def test_only_the_last_used_trees_are_kept_and_remains_of_killed_agents_go(
    tmp_path: Path, api: FakeAgentApi, pod: Pod
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "0123.part").mkdir()
    found = []
    for number in range(3):
        api.serve("source", large(number=str(number).encode()))
        code, out = await other_pod(tmp_path / f"pod-{number}", api).run(**sharing(shared))
        assert code == 0, out
        found.append({path.name for path in trees(shared)})
        for path in trees(shared):
            os.utime(path, (time.time() - 100, path.stat().st_mtime - 100))
    assert [len(names) for names in found] == [1, 2, 2]
    assert found[0] - found[2] == found[0]
    assert not (shared / "0123.part").exists()


async def test_nothing_is_removed_while_a_tree_is_copied(tmp_path: Path, api: FakeAgentApi, pod: Pod) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    for name in ("a.tree", "b.tree", "c.part"):
        (shared / name).mkdir()
    api.serve("source", large())
    with (shared / "use.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        code, out = await pod.run(**sharing(shared))
    assert code == 0, out
    assert {"a.tree", "b.tree", "c.part"} < {path.name for path in shared.iterdir()}


async def test_small_and_filtered_sources_are_unpacked_in_place(tmp_path: Path, api: FakeAgentApi, pod: Pod) -> None:
    shared = tmp_path / "shared"
    api.serve("source", packed(a=b"a"))
    code, out = await pod.run(**sharing(shared))
    assert (code, "fetched the source: 1 file" in out) == (0, True), out
    api.serve("source", large(a=b"a"))
    code, out = await other_pod(tmp_path / "second", api).run(C8S_INPUTS='["a"]', **sharing(shared))
    assert (code, "not among the inputs" in out) == (0, True), out
    assert not shared.exists()
