"""The record of what tags of images named, and what is said when one names another image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kind.doctor.checks import run_checks
from kind.errors import KindError
from kind.image.digests import DigestRecord
from kind.tools.docker_cli import Docker, ImageIdentity
from tests.unit.kind.conftest import Programs

IMAGE = "registry.example.org:5000/team/python:3.12"
INSPECT = "docker image inspect"
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def inspected(identity: str, *digests: str) -> tuple[int, str]:
    return 0, f"{identity} {json.dumps([f'registry.example.org:5000/team/python@{each}' for each in digests])}"


async def test_what_a_tag_named_first_is_recorded(tmp_path: Path, programs: Programs) -> None:
    record = DigestRecord(tmp_path / "state" / "digests.json", Docker(programs))
    programs.answers = {INSPECT: inspected("sha256:1", OLD)}
    assert (await record.compare(IMAGE)).state == "new"
    assert not (tmp_path / "state").exists()
    assert (await record.note(IMAGE)).state == "new"
    assert (tmp_path / "state" / "digests.json").stat().st_mode & 0o777 == 0o600
    assert (await record.note(IMAGE)).state == "same"


async def test_a_tag_that_names_another_image_is_told_until_it_is_accepted(tmp_path: Path, programs: Programs) -> None:
    file = tmp_path / "digests.json"
    record = DigestRecord(file, Docker(programs))
    programs.answers = {INSPECT: inspected("sha256:1", OLD)}
    await record.note(IMAGE)
    programs.answers = {INSPECT: inspected("sha256:2", NEW)}
    for _ in range(2):
        check = await record.note(IMAGE)
        assert check.warning == f"{IMAGE} is {NEW}, but was {OLD} when it was first used"
        assert f"registry.example.org:5000/team/python@{OLD}" in check.remedy
        assert str(file) in check.remedy
    file.unlink()
    assert (await record.note(IMAGE)).state == "new"
    assert (await record.note(IMAGE)).warning == ""


async def test_an_image_without_registry_is_known_by_its_id(tmp_path: Path, programs: Programs) -> None:
    """As `docker load` makes it; its ID is no digest that could be pinned."""
    record = DigestRecord(tmp_path / "digests.json", Docker(programs))
    programs.answers = {INSPECT: (0, f"{OLD} []")}
    await record.note(IMAGE)
    programs.answers = {INSPECT: (0, f"{NEW} null")}
    check = await record.note(IMAGE)
    assert check.state == "changed"
    assert "@" not in check.remedy


def test_the_id_may_differ_where_the_digest_is_the_same() -> None:
    """With another image store, the same image has another ID."""
    assert ImageIdentity(NEW, (OLD,)).matches(ImageIdentity(OLD, (OLD, NEW)))
    assert not ImageIdentity(NEW, (OLD,)).matches(ImageIdentity(OLD, (NEW,)))


async def test_a_reference_with_a_digest_is_not_recorded(tmp_path: Path, programs: Programs) -> None:
    record = DigestRecord(tmp_path / "digests.json", Docker(programs))
    assert (await record.note(f"{IMAGE}@{OLD}")).state == "pinned"
    assert not (tmp_path / "digests.json").exists()
    assert programs.asked == []


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": {"id": "x"}}', "\x00"])
async def test_a_broken_record_is_reported_with_a_remedy(text: str, tmp_path: Path, programs: Programs) -> None:
    (tmp_path / "digests.json").write_text(text)
    with pytest.raises(KindError, match=r"digests\.json can't be read"):
        await DigestRecord(tmp_path / "digests.json", Docker(programs)).note(IMAGE)


async def test_doctor_compares_images_with_the_record(tmp_path: Path, programs: Programs) -> None:
    file = tmp_path / "digests.json"
    programs.answers = {
        "docker info": (0, '{"ServerVersion": "28.1.0"}'),
        "kind version": (0, "kind v0.33.0 go1.27.2"),
        INSPECT: inspected("sha256:1", OLD),
    }
    await DigestRecord(file, Docker(programs)).note(IMAGE)

    async def found(image: str) -> tuple[str, str]:
        findings = await run_checks(programs, digests=file, images=[image])
        return next((each.level, each.found) for each in findings if each.check == "image")

    assert await found(IMAGE) == ("ok", f"{IMAGE} is {OLD}, as recorded")
    assert await found("other:1") == ("ok", "other:1 is on this host and not used yet")
    programs.answers[INSPECT] = inspected("sha256:2", NEW)
    assert await found(IMAGE) == ("warning", f"{IMAGE} is {NEW}, but was {OLD} when it was first used")
    programs.answers[INSPECT] = (1, "Error: No such image")
    assert await found(IMAGE) == ("ok", f"{IMAGE} is not on this host")
    file.write_text("{")
    assert (await found(IMAGE))[0] == "warning"
