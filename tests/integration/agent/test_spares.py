"""Spare copies of sources: made by one process, and taken by the agents of steps."""

import asyncio
import fcntl
import hashlib
import os
import sys
from pathlib import Path

import pytest

from tests.integration.agent.fake_api import FakeAgentApi
from tests.integration.agent.pod import AGENT, Pod
from tests.support.waiting import wait_until_async
from tests.unit.controller.agent.sources.archives import Entry, archive, file, link, snapshot

FILES = [file(f"src/{number}", str(number).encode()) for number in range(100)]


async def make(folder: Path, data: bytes, sha256: str | None = None, **environment: str) -> tuple[int, str]:
    """Have the spare copy of an archive made; exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(AGENT), "spare", sha256 or hashlib.sha256(data).hexdigest()),
        env={"C8S_SHARED_SOURCES": str(folder), "PATH": os.environ["PATH"], **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate(data)
    assert process.returncode is not None
    return process.returncode, out.decode().strip()


def spares(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spare"))


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix not in (".lock", ".spare"))


async def run(folder: Path, api: FakeAgentApi, pod: Pod, **environment: str) -> str:
    """What the agent of a step says, which gets a source by the spare copies of a folder."""
    code, out = await pod.run(C8S_FETCH_SOURCE="1", C8S_SHARED_SOURCES=str(folder), **environment)
    assert code == 0, out
    return out


def source_of(pod: Pod) -> dict[str, tuple[object, ...]]:
    """What the workspace has, but for what each test's workspace has from the beginning."""
    return {
        path: about
        for path, about in snapshot(pod.workspace).items()
        if path.partition("/")[0] not in ("json", "socket", "controller", "command")
    }


def other_pod(folder: Path, api: FakeAgentApi) -> Pod:
    folder.mkdir()
    return Pod(folder, api)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    return tmp_path / "sources"


async def fresh(tmp_path: Path, api: FakeAgentApi) -> dict[str, tuple[object, ...]]:
    """What a step gets that unpacks its source itself."""
    pod = other_pod(tmp_path / "fresh", api)
    code, out = await pod.run(C8S_FETCH_SOURCE="1")
    assert code == 0, out
    return source_of(pod)


async def test_a_step_takes_the_spare_copy_of_its_source_without_a_download(
    tmp_path: Path, shared: Path, api: FakeAgentApi, pod: Pod
) -> None:
    data = archive([*FILES, file("run", b"#!", 0o755), link("link", "run")])
    assert await make(shared, data) == (0, "unpacked, with 102 files")
    assert await make(shared, data) == (0, "it is there already")
    assert (len(spares(shared)), shared.stat().st_mode & 0o777) == (1, 0o700)
    api.serve("source", data)
    expected = await fresh(tmp_path, api)
    api.objects["source"] = b"it is not needed"
    assert "a spare copy of it, in" in await run(shared, api, pod)
    assert source_of(pod) == expected
    assert (spares(shared), leftovers(shared)) == ([], [])


async def test_a_spare_copy_of_an_earlier_source_becomes_that_of_the_step(
    tmp_path: Path, shared: Path, api: FakeAgentApi, pod: Pod
) -> None:
    await make(shared, archive([*FILES, file("gone/x"), file("kind/of")]))
    api.serve(
        "source", archive([*FILES[:50], file("src/50", b"changed"), *FILES[51:], file("new"), link("kind", "src")])
    )
    out = await run(shared, api, pod)
    assert "a spare copy of an earlier one with 5 of 102 files changed" in out
    assert source_of(pod) == await fresh(tmp_path, api)
    assert (spares(shared), leftovers(shared)) == ([], [])


async def test_what_a_step_changes_reaches_no_other(tmp_path: Path, shared: Path, api: FakeAgentApi, pod: Pod) -> None:
    data = archive(FILES)
    api.serve("source", data)
    await make(shared, data)
    await run(shared, api, pod)
    await make(shared, data)
    (pod.workspace / "src/1").write_bytes(b"changed")
    (pod.workspace / "src/2").unlink()
    (pod.workspace / "src/more").touch()
    other = other_pod(tmp_path / "other", api)
    assert "a spare copy of it" in await run(shared, api, other)
    assert source_of(other) == await fresh(tmp_path, api)


async def test_each_spare_copy_is_taken_once_and_the_others_unpack(
    tmp_path: Path, shared: Path, api: FakeAgentApi
) -> None:
    data = archive(FILES)
    api.serve("source", data)
    await make(shared, data)
    pods = [other_pod(tmp_path / f"pod-{number}", api) for number in range(4)]
    outs = await asyncio.gather(*(run(shared, api, pod) for pod in pods))
    assert sum("a spare copy" in out for out in outs) == 1
    expected = await fresh(tmp_path, api)
    assert all(source_of(pod) == expected for pod in pods)


def damage_index(spare: Path) -> None:
    (spare / "index").write_bytes(b"[[")


def lose_a_file(spare: Path) -> None:
    (spare / "tree/src/7").unlink()


def replace_a_folder(spare: Path) -> None:
    (spare / "tree/src").rename(spare / "tree/moved")
    (spare / "tree/src").symlink_to("moved")


@pytest.mark.parametrize("spoil", [damage_index, lose_a_file, replace_a_folder])
async def test_where_one_does_not_fit_the_source_is_unpacked(
    spoil: object, tmp_path: Path, shared: Path, api: FakeAgentApi, pod: Pod
) -> None:
    await make(shared, archive(FILES))
    assert callable(spoil)
    spoil(spares(shared)[0])
    # Without the file that is missing.
    api.serve("source", archive([*FILES[:7], *FILES[8:], file("src/x")]))
    assert "a spare copy" not in await run(shared, api, pod)
    assert source_of(pod) == await fresh(tmp_path, api)


async def test_one_that_was_made_with_other_permissions_is_not_used(shared: Path, api: FakeAgentApi, pod: Pod) -> None:
    data = archive(FILES)
    api.serve("source", data)
    await make(shared, data, C8S_GRANT_ACCESS="1")
    assert (spares(shared)[0] / "tree/src/1").stat().st_mode & 0o777 == 0o666
    assert "a spare copy" not in await run(shared, api, pod)
    assert len(spares(shared)) == 1
    await make(shared, data)
    assert [path.name for path in spares(shared) if "-open" in path.name] == []


async def test_steps_that_get_a_part_of_the_source_or_its_history_unpack_it(
    tmp_path: Path, shared: Path, api: FakeAgentApi, pod: Pod
) -> None:
    data = archive([*FILES, file(".git/config")])
    api.serve("source", data)
    await make(shared, data)
    assert "99 that are not among" in await run(shared, api, pod, C8S_INPUTS='["src/1"]')
    other = other_pod(tmp_path / "other", api)
    assert "a spare copy" not in await run(shared, api, other, C8S_FETCH_GIT="1")
    assert (other.workspace / ".git/config").exists()
    assert len(spares(shared)) == 1


async def test_a_step_whose_pod_is_made_ahead_leaves_it_to_one_that_is_due(
    shared: Path, api: FakeAgentApi, pod: Pod
) -> None:
    data = archive(FILES)
    api.serve("source", data)
    await make(shared, data)
    pod.role = "early-step"
    agent = await pod.start(C8S_FETCH_SOURCE="1", C8S_SHARED_SOURCES=str(shared), C8S_EARLY_JOB="job")
    await wait_until_async((pod.gate / "fetched-source").exists, what="the source is fetched")
    agent.kill()
    await agent.communicate()
    assert (len(list((pod.workspace / "src").iterdir())), len(spares(shared))) == (100, 1)


async def test_making_one_waits_while_a_step_unpacks_its_source(shared: Path, api: FakeAgentApi, pod: Pod) -> None:
    data = archive(FILES)
    await make(shared, archive([file(f"other/{number}") for number in range(70)]))
    with (shared / "busy.lock").open() as busy:
        fcntl.flock(busy, fcntl.LOCK_SH)
        making = asyncio.create_task(make(shared, data))
        await wait_until_async(lambda: any(shared.glob("*.new/tree")), what="the copy is being made")
        # The agent of a step does not wait for it.
        api.serve("source", data)
        assert "fetched the source: 100 files" in await run(shared, api, pod)
        assert (making.done(), list(shared.glob("*.new/tree/*"))) == (False, [])
    assert await making == (0, "unpacked, with 100 files")


async def test_a_workspace_that_has_something_of_the_name_is_unpacked_into(
    shared: Path, api: FakeAgentApi, pod: Pod
) -> None:
    data = archive(FILES)
    api.serve("source", data)
    await make(shared, data)
    (pod.workspace / "src").mkdir()
    (pod.workspace / "src/own").touch()
    assert "a spare copy" not in await run(shared, api, pod)
    assert len(list((pod.workspace / "src").iterdir())) == 101


async def test_there_are_two_at_most_and_remains_of_killed_processes_go(shared: Path) -> None:
    trees: list[list[Entry]] = [[file(f"{name}/{n}", str(n).encode()) for n in range(80)] for name in "abc"]
    for number, tree in enumerate(trees):
        assert (await make(shared, archive(tree)))[0] == 0
        for spare in spares(shared):
            os.utime(spare, (1e9 + number, spare.stat().st_mtime - 100))
    assert [(spare / "tree").iterdir().__next__().name for spare in spares(shared)] != []
    assert {next((spare / "tree").iterdir()).name for spare in spares(shared)} == {"b", "c"}
    for name in ("x.spare-1.taken", "y.v1.spare.new", "z.v0.spare", "w.removed"):
        (shared / name / "tree").mkdir(parents=True)
    # One of them becomes the newer source of its tree.
    code, out = await make(shared, archive([*trees[1], file("b/new")]))
    assert (code, out) == (0, "made of an earlier one, with 1 files changed")
    assert (len(spares(shared)), leftovers(shared)) == (2, [])
    old = spares(shared)[0]
    os.utime(old, (1, 1))
    await make(shared, archive(trees[0][:70]))
    assert not old.exists()


async def test_damaged_refused_and_small_sources_have_none(shared: Path) -> None:
    code, out = await make(shared, archive(FILES), sha256="0" * 64)
    assert (code, "is damaged" in out) == (1, True)
    code, out = await make(shared, archive([*FILES, file("../x")]))
    assert (code, "'..' in its path" in out) == (1, True)
    assert (await make(shared, archive(FILES[:9])))[1] == "the source is so small that none is needed"
    assert (spares(shared), leftovers(shared)) == ([], [])
    code, out = await make(Path("relative"), archive(FILES), C8S_SHARED_SOURCES="")
    assert (code, "C8S_SHARED_SOURCES is not set" in out) == (2, True)
