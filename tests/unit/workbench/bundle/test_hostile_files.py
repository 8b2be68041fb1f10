"""Files that were made to harm: each opens harmlessly, or is refused with a reason."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.bundles import export_sample, read_bundle, replaced, rewrite, sample_run, value_paths
from workbench.bundle.controller import BundleController
from workbench.bundle.errors import BundleError
from workbench.client.errors import ClientError

SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
REPLACEMENTS = (
    None, True, -1, 0, 10**30, 1.5, "", "x" * 3000, "\x1b]0;owned\x07\x1b[2J", "../../etc/passwd", "\u202ereversed",
    "\ud800", "9999-12-31T23:59:59+23:59", "0001-01-01T00:00:00-23:59", [], {}, [[]], [None], {"a": {"b": []}}, "check",
    ["check"],
)  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.c8srun"
    export_sample(path)
    return path


def assert_harmless(path: Path, folder: Path) -> None:
    with suppress(ClientError):
        asyncio.run(read_bundle(path, folder))
    assert not {each.name for each in folder.iterdir()} - {"artifact", path.name}


def test_the_good_file_is_read_without_refusals(good: Path, tmp_path: Path) -> None:
    asyncio.run(read_bundle(good, tmp_path))


@SLOW
@given(data=st.data())
def test_any_value_may_be_of_any_type(data: st.DataObject, good: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(good) as archive:
        name = data.draw(st.sampled_from([each for each in archive.namelist() if each.endswith(".json")]))
        document = json.loads(archive.read(name))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(value_paths(document)))
        document = replaced(document, path, data.draw(st.sampled_from(REPLACEMENTS)))
    target = rewrite(good, tmp_path / "bad.c8srun", {name: document})
    assert_harmless(target, tmp_path)


@SLOW
@given(data=st.data())
def test_any_byte_may_be_another_one(data: st.DataObject, good: Path, tmp_path: Path) -> None:
    content = bytearray(good.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    target = tmp_path / "bad.c8srun"
    target.write_bytes(bytes(content[:end]))
    assert_harmless(target, tmp_path)


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as refused:
        BundleController(path)
    return str(refused.value)


def zipped(path: Path, entries: list[tuple[str, bytes]], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data)
    return path


@pytest.mark.parametrize(
    "name", ["../bundle.json", "/etc/passwd", "logs/1", "logs/000000/../x", "a\x00.json", "LOGS/000001"]
)
def test_names_that_no_bundle_has_are_refused(name: str, tmp_path: Path) -> None:
    assert "entry that a bundle of a run does not have" in refusal(zipped(tmp_path / "a", [(name, b"{}")]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_a_name_are_refused(tmp_path: Path) -> None:
    assert "two entries" in refusal(zipped(tmp_path / "a", [("run.json", b"{}"), ("run.json", b"{}")]))


def test_other_compressions_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("bundle.json", b"{}")
    assert "compressed in another way" in refusal(tmp_path / "a")


def test_more_entries_than_a_bundle_has_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a", [(f"logs/{n:06}", b"") for n in range(20_001)])
    assert "at most 20,000" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip" * 100, b"\x00" * 10_000])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    assert "no bundle of a run" in refusal(tmp_path / "a")
    assert "can't open" in refusal(tmp_path / "missing")
    assert "can't open" in refusal(tmp_path)


def test_what_is_before_or_behind_the_archive_is_refused(good: Path, tmp_path: Path) -> None:
    for content in (b"#!/bin/sh\n" + good.read_bytes(), good.read_bytes() + b"x"):
        (tmp_path / "a").write_bytes(content)
        assert refusal(tmp_path / "a")


def test_a_document_that_expands_is_refused_at_its_limit(good: Path, tmp_path: Path) -> None:
    bomb = b'{"name": "' + b"x" * (40 * 1024 * 1024) + b'"}'
    assert "larger than" in refusal(rewrite(good, tmp_path / "a", {"run.json": bomb}))


def test_a_log_that_expands_is_refused_at_its_stated_size(good: Path, tmp_path: Path) -> None:
    path = rewrite(good, tmp_path / "a", {"logs/000000": b"x\n" * (20 * 1024 * 1024)})

    async def read() -> None:
        with BundleController(path) as bundle:
            log = next(each for each in bundle.manifest.logs if each.chunks[0].entry == "logs/000000")
            async for _ in bundle.log_blocks("shop-3", log.step, attempt=log.attempt, container=log.container):
                pass

    with pytest.raises(BundleError, match="larger than"):
        asyncio.run(read())


def test_a_log_has_no_more_lines_than_it_states(good: Path, tmp_path: Path) -> None:
    path = rewrite(good, tmp_path / "a", {"logs/000000": b"\n" * 40})

    async def read() -> None:
        with BundleController(path) as bundle:
            log = next(each for each in bundle.manifest.logs if each.chunks[0].entry == "logs/000000")
            async for _ in bundle.log_blocks("shop-3", log.step, attempt=log.attempt, container=log.container):
                pass

    with pytest.raises(BundleError, match="more lines than it states") as refused:
        asyncio.run(read())
    assert refused.value.is_final, "reading it again would be in vain"


@pytest.mark.parametrize(("lines", "chunks", "why"), [
    (1_000_001, 1, "`lines` in its bundle.json is not a number from 0 to 1000000"),
    (1_000_000, 21, "the log has 21,000,000 lines, and c8s shows up to 20,000,000 of a file"),
])  # fmt: skip
def test_the_memory_for_the_lines_of_a_log_is_bounded(
    lines: int, chunks: int, why: str, good: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(good) as archive:
        document = json.loads(archive.read("bundle.json"))
    log = document["logs"][0]
    log["chunks"] = [{"entry": f"logs/{900 + n:06}", "lines": lines, "bytes": lines} for n in range(chunks)]

    async def read() -> None:
        with BundleController(rewrite(good, tmp_path / "a", {"bundle.json": document})) as bundle:
            async for _ in bundle.log_blocks("shop-3", log["step"], attempt=log["attempt"], container=log["container"]):
                pass

    with pytest.raises(BundleError, match=why):
        asyncio.run(read())


@pytest.mark.parametrize(
    ("value", "count", "why"),
    [(b"{}", 3_000_000, "more than 4,000,000 values"), (b"0", 250_000, "more than 250,000 values in one place")],
)
def test_the_memory_for_documents_is_bounded(value: bytes, count: int, why: str, good: Path, tmp_path: Path) -> None:
    content = b'{"items": [' + (value + b",") * count + value + b"]}"
    path = rewrite(good, tmp_path / "a", {"events.json": content})
    with BundleController(path) as bundle, pytest.raises(BundleError, match=why):
        asyncio.run(bundle.events("shop-3"))


def test_one_entry_can_not_be_the_content_of_many_logs(good: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(good) as archive:
        document = json.loads(archive.read("bundle.json"))
    document["logs"][1]["chunks"] = document["logs"][0]["chunks"]
    assert "names an entry twice" in refusal(rewrite(good, tmp_path / "a", {"bundle.json": document}))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[" * 100_000, "not JSON"),
        (b'{"name": NaN}', "not JSON"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "nested too deeply"),
        (b"\xff\xfe", "not JSON"),
        (b"null", "no name"),
    ],
)
def test_documents_that_are_no_run_are_refused(content: bytes, why: str, good: Path, tmp_path: Path) -> None:
    assert why in refusal(rewrite(good, tmp_path / "a", {"run.json": content}))


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("status", "steps", 0, "dependsOn"), ["after"], "in a circle"),
        (("status", "steps", 0, "dependsOn"), ["build"], "in a circle"),
        (("status", "steps", 0, "name"), "check", "the same name"),
        (("status", "steps", 0, "slug"), "check", "the same name"),
        (("status", "phase"), "Running", "has not ended"),
        (("createdAt",), "9999-12-31T23:59:59-23:59", "impossible times"),
        (("status", "steps", 0, "attempts", 0, "times", "running"), "0001-01-01T00:00:00+23:59", "impossible times"),
    ],
)
def test_runs_that_no_controller_has_are_refused(
    path: tuple[Any, ...], value: Any, why: str, good: Path, tmp_path: Path
) -> None:
    assert why in refusal(rewrite(good, tmp_path / "a", {"run.json": replaced(sample_run(), path, value)}))


def test_numbers_are_of_a_size_that_everything_can_take(good: Path, tmp_path: Path) -> None:
    content = json.dumps(sample_run()).replace('"exitCode": 1', '"exitCode": 1' + "0" * 5000).encode()
    with BundleController(rewrite(good, tmp_path / "a", {"run.json": content})) as bundle:
        assert bundle.only_run.steps[1].attempts[0].exit_code == 2**53


def test_an_archive_that_says_that_it_is_huge_is_refused(good: Path, tmp_path: Path) -> None:
    content = bytearray(good.read_bytes())
    content[-14:-10] = struct.pack("<HH", 0xFFFF, 0xFFFF)
    (tmp_path / "a").write_bytes(bytes(content))
    assert refusal(tmp_path / "a")
    assert zipfile.is_zipfile(io.BytesIO(good.read_bytes()))
