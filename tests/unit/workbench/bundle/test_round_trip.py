"""What is exported is what is shown again, and the report says what is not in the file."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.files import atomic_file
from tests.support.bundles import (
    AS_OF,
    FakeSource,
    decoded,
    export_sample,
    export_unfinished,
    moment,
    rewrite,
    sample_logs,
    sample_run,
)
from workbench.bundle import manifest as names
from workbench.bundle.controller import BundleController
from workbench.bundle.errors import BundleError, NoControllerError
from workbench.bundle.manifest import VERSION
from workbench.bundle.page import build_page
from workbench.bundle.playback import Playback
from workbench.bundle.write import ExportOptions, write_bundle
from workbench.client.errors import NotFoundError
from workbench.client.models import RunEnd, RunsListed

VERSIONS = Path(__file__).with_name("versions")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.c8srun"
    export_sample(path)
    return path


async def collected(blocks: AsyncGenerator[bytes, None]) -> bytes:
    return b"".join([block async for block in blocks])


async def test_a_run_is_the_same_in_its_bundle(file: Path) -> None:
    with BundleController(file) as bundle:
        found = await bundle.run("shop-3")
        assert (found.steps, found.params, found.definition) == (
            decoded().steps,
            {"target": "dev"},
            decoded().definition,
        )
        assert found.resource_version == "", "which changes whenever anything is written"
        assert (await bundle.cluster()).namespaces == (), "nothing about what else there is"
        assert [event.reason for event in await bundle.events("shop-3")] == ["Pulled"]
        assert [command.text for command in await bundle.commands("shop-3", "build", attempt=1)] == ["make"]
        assert [one.path for one in await bundle.artifacts("shop-3", step="build")] == ["out/app.bin", "out/note.txt"]
        assert [test.name for test in (await bundle.list_tests("shop-3", failed=True)).tests] == ["test_a"]
        changes = bundle.watch_runs()
        assert await anext(changes) == RunsListed((found,))
        await changes.aclose()
        assert [frame async for frame in bundle.stream_logs("shop-3")] == [RunEnd()]


async def test_logs_have_their_times(file: Path) -> None:
    with BundleController(file) as bundle:
        for (step, attempt, container), data in sample_logs().items():
            found = bundle.log_blocks("shop-3", step, attempt=attempt, container=container, timestamps=True)
            assert await collected(found) == data
        plain = bundle.log_blocks("shop-3", "check", attempt=2, container="step")
        assert await collected(plain) == b"looking\nAssertionError: 2 != 3\n1 failed\n"
        assert [line async for line in bundle.logs("shop-3", "check", tail=2)] == ["AssertionError: 2 != 3", "1 failed"]
        assert [line async for line in bundle.logs("shop-3", "check", tail=0)] == []
        assert len([line async for line in bundle.logs("shop-3", "check")]) == 3
        with pytest.raises(NotFoundError):
            await collected(bundle.log_blocks("shop-3", "after", attempt=1, container="step"))


async def test_artifacts_are_copied_out(file: Path, tmp_path: Path) -> None:
    with BundleController(file) as bundle:
        target = tmp_path / "note"
        assert await bundle.download_file("shop-3", "build", "out/note.txt", target) == 7
        assert target.read_bytes() == b"a note\n"
        assert target.stat().st_mode & 0o777 == 0o600
        with pytest.raises(NotFoundError):
            await bundle.download_file("shop-3", "build", "../../etc/passwd", target)


def test_the_same_run_gives_the_same_bytes(file: Path, tmp_path: Path) -> None:
    again = tmp_path / "b.c8srun"
    export_sample(again)
    assert again.read_bytes() == file.read_bytes()


def test_the_bytes_do_not_depend_on_the_machine(file: Path, tmp_path: Path, repository: Path) -> None:
    script = "import sys, pathlib, tests.support.bundles as b; b.export_sample(pathlib.Path(sys.argv[1]))"
    environment = os.environ | {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7", "LC_ALL": "C", "PYTHONUTF8": "0"}
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "b")],
        env=environment | {"PYTHONPATH": str(repository)}, cwd=tmp_path, check=True,
    )  # fmt: skip
    assert (tmp_path / "b").read_bytes() == file.read_bytes()


def test_every_change_of_status_has_its_time(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        timeline = json.loads(archive.read(names.TIMELINE))
    phases = [(each["time"], each.get("step"), each["value"]) for each in timeline if each["kind"] == "phase"]
    assert phases == [
        ("2026-01-01T12:00:00Z", None, "Pending"),
        ("2026-01-01T12:00:01Z", None, "Running"),
        ("2026-01-01T12:00:02Z", "build", "Running"),
        ("2026-01-01T12:00:04Z", "build", "Succeeded"),
        ("2026-01-01T12:00:05Z", "check", "Running"),
        ("2026-01-01T12:00:09Z", "check", "Running"),
        ("2026-01-01T12:00:12Z", "check", "Failed"),
        ("2026-01-01T12:00:12Z", None, "Failed"),
    ]
    assert {each["kind"] for each in timeline} >= {"queued", "created", "scheduled", "running", "finished"}


def test_what_is_left_out_is_reported(tmp_path: Path) -> None:
    source = FakeSource(missing={"events", "check/1", "out/note.txt"})
    found = export_sample(tmp_path / "a", source, max_artifacts=1000)
    assert [each.what for each in found.left_out] == [
        "the events of the run",
        "the log of check, attempt 1, container step",
        "the artifact out/note.txt of build (7 bytes)",
        "the artifact out/app.bin of build (5,000 bytes)",
    ]
    with BundleController(tmp_path / "a") as bundle:
        assert bundle.manifest.left_out == found.left_out
    assert "not asked for" in export_sample(tmp_path / "b", max_artifacts=0).left_out[0].why


async def test_an_interrupted_export_leaves_nothing(tmp_path: Path) -> None:
    async def export() -> None:
        with atomic_file(tmp_path / "a.c8srun", mode=0o600) as file:
            await write_bundle(FakeSource(hangs=True), decoded(), file, ExportOptions())

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(export(), 0.3)
    assert list(tmp_path.iterdir()) == []


def test_long_logs_are_read_from_their_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "CHUNK", 1000)
    monkeypatch.setattr(names, "MAX_CHUNK", 2000)
    lines = [f"{moment(9.5)} line {n} {'x' * (n % 300)}" for n in range(500)] + [f"{moment(9.6)} {'y' * 5000}"]
    source = FakeSource()
    source.logs["check", 2, "step"] = "".join(f"{line}\n" for line in lines).encode()
    export_sample(tmp_path / "a", source)

    async def read() -> None:
        with BundleController(tmp_path / "a") as bundle:
            log = next(each for each in bundle.manifest.logs if (each.step, each.attempt) == ("check", 2))
            assert len(log.chunks) > 10
            found = [line async for line in bundle.logs("shop-3", "check", tail=3)]
            assert found[:2] == [f"line {n} {'x' * (n % 300)}" for n in (498, 499)]
            assert found[2].startswith("yyyy"), "longer than a chunk may be: cut"
            assert len([line async for line in bundle.logs("shop-3", "check")]) == len(lines)

    asyncio.run(read())


async def test_what_takes_a_controller_is_refused_in_words(file: Path) -> None:
    with BundleController(file) as bundle:
        for call in (
            bundle.cancel("shop-3"),
            bundle.delete("shop-3"),
            bundle.rerun("shop-3", idempotency_key="k"),
            bundle.secrets(),
            bundle.put_secret("a", {}),
            bundle.health(),
            bundle.approve("shop-3"),
            bundle.set_breakpoints("shop-3", ()),
            bundle.continue_step("shop-3", "check"),
        ):
            with pytest.raises(NoControllerError, match=r"a\.c8srun is the file of a run"):
                await call
        with pytest.raises(NotFoundError):
            await bundle.run("other-1")


def test_a_run_that_has_not_ended_is_written_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.c8srun"
    found = export_unfinished(path)
    assert (found.version, found.as_of) == (2, AS_OF)
    assert "there is none yet" in [each.why for each in found.left_out]
    with BundleController(path) as bundle:
        run = bundle.only_run
        assert (run.phase, [step.phase for step in run.steps]) == ("Running", ["Succeeded", "Running", "Pending"])
        assert bundle.manifest.as_of == AS_OF
        # All that there is of its log is in the file.
        attempt = run.steps[1].attempts[1]
        assert attempt.log is not None
        assert (attempt.log.archived, attempt.log.lines) == (True, 3)
        playback = Playback.of(run, bundle.manifest.as_of)
        assert playback is not None
        assert playback.last == AS_OF
        assert Playback.of(run) is None
    assert found.left_out_count == 1


def test_a_clock_that_is_behind_that_of_the_cluster_does_not_matter(tmp_path: Path) -> None:
    early = datetime(2025, 1, 1, tzinfo=UTC)
    found = export_unfinished(tmp_path / "a.c8srun", early)
    assert found.as_of == datetime(2026, 1, 1, 12, 0, 9, tzinfo=UTC)


def test_a_run_that_has_ended_is_written_for_earlier_c8s(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        document = json.loads(archive.read("bundle.json"))
    assert document["version"] == 1
    assert "unfinishedAt" not in document


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": 1}, "not ended"),
        ({"unfinishedAt": "yesterday"}, "not a time"),
        ({"unfinishedAt": 5}, "not a text"),
        ({"unfinishedAt": "9999-12-31T23:59:59Z"}, "not a time"),
        ({"unfinishedAt": "2026-01-01T00:00:00"}, "not a time"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, changes: dict[str, object], why: str) -> None:
    path = tmp_path / "a.c8srun"
    export_unfinished(path)
    with zipfile.ZipFile(path) as archive:
        document = json.loads(archive.read("bundle.json"))
    with pytest.raises(BundleError, match=why):
        BundleController(rewrite(path, tmp_path / "b.c8srun", {"bundle.json": {**document, **changes}}))
    ended = rewrite(path, tmp_path / "c.c8srun", {"run.json": sample_run()})
    with pytest.raises(BundleError, match="ended already"):
        BundleController(ended)


async def test_the_page_of_a_run_that_has_not_ended_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.c8srun"
    await asyncio.to_thread(export_unfinished, path)
    with BundleController(path) as bundle:
        page = await build_page(bundle)
    assert "had not ended when it was exported, at 2026-01-01 12:00:30 UTC" in page
    assert "30.0s" in page, "until the export, whatever the time is now"
    assert "AssertionError: 2 != 3" in page, "the log of the step that runs"


@pytest.mark.parametrize("version", range(1, VERSION + 1))
async def test_files_of_each_version_open(version: int) -> None:
    with BundleController(VERSIONS / f"v{version}.c8srun") as bundle:
        run = bundle.only_run
        phases = {1: ["Succeeded", "Failed", "Skipped"], 2: ["Succeeded", "Running", "Pending"]}[version]
        assert (run.name, run.ended, [step.phase for step in run.steps]) == ("shop-3", version == 1, phases)
        blocks = bundle.log_blocks("shop-3", "check", attempt=2, container="step", timestamps=True)
        assert await collected(blocks) == sample_logs()["check", 2, "step"]
        assert len(await bundle.events("shop-3")) == 1
        assert len((await bundle.list_tests("shop-3")).tests) == 2


def test_a_later_version_says_that_c8s_must_be_updated(file: Path, tmp_path: Path) -> None:
    later = {"format": "c8s-run-bundle", "version": VERSION + 1}
    with pytest.raises(BundleError, match="update c8s"):
        BundleController(rewrite(file, tmp_path / "b", {"bundle.json": later}))


def test_a_definition_that_is_no_pipeline_is_left_out(file: Path, tmp_path: Path) -> None:
    broken = {**sample_run(), "definition": {"steps": "none"}}
    with BundleController(rewrite(file, tmp_path / "b", {"run.json": broken})) as bundle:
        assert bundle.only_run.definition is None
