"""Manifests as agents send them: read in bounded steps whatever they consist of, and checked entry by entry."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.api.artifacts.sent_manifest import encode_manifest
from controller.api.http.problems import ApiProblemError
from controller.api.models.agent import MAX_ARTIFACT_FILES, Manifest

ARCHIVE = {"size": 9, "sha256": "1" * 64}


def file(path: str = "out/a", **fields: Any) -> dict[str, Any]:
    return {"path": path, "size": 3, "sha256": "0" * 64, "mode": 0o644, **fields}


def body(*files: dict[str, Any], ascii_only: bool = True, indent: int | None = None) -> bytes:
    return json.dumps({"files": files, "archive": ARCHIVE}, ensure_ascii=ascii_only, indent=indent).encode()


def read(sent: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b"".join(encode_manifest(sent).pieces))
    return found


PATHS = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=300)


@given(st.lists(PATHS, max_size=8), st.booleans(), st.sampled_from([None, 2]))
def test_any_names_are_read_as_a_decoder_reads_them(paths: list[str], ascii_only: bool, indent: int | None) -> None:
    sent = body(*map(file, paths), ascii_only=ascii_only, indent=indent)
    found = read(sent)
    assert found == {
        "archive": ARCHIVE,
        "count": {"files": len(paths), "bytes": 3 * len(paths)},
        "files": [file(path) for path in paths],
    }
    assert found["files"] == Manifest.model_validate_json(sent).model_dump()["files"]


@pytest.mark.parametrize("length", [200, 4096])
def test_long_names_in_any_script_are_taken(length: int) -> None:
    for sent in (body(file("ö" * length)), body(file("ö" * length), ascii_only=False), body(file("🙂" * length))):
        assert read(sent)["files"][0]["path"][:2] in ("öö", "🙂🙂")


def test_the_archive_may_stand_in_front() -> None:
    sent = json.dumps({"archive": ARCHIVE, "files": [file()]}).encode()
    assert read(sent)["files"] == [file()]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"files":[]}',
        json.dumps({"archive": ARCHIVE}).encode(),
        body()[:-1],
        body() + b"x",
        body(file())[:-60],
        body(file("a\ud800")),
        body(file("")),
        body(file("a" * 4097)),
        body(file(mode=-1)),
        body(file(extra=1)),
        body(file(size="many")),
        body(file()).replace(b"out", b"\xff"),
        b'{"files":[{' + b'"a":{' * 100_000,
        b'{"files":[' + b"[" * 100_000,
        b'{"files":["' + b"a" * 1_000_000 + b'"]}',
        b'{"more":1,' + body()[1:],
        b'{"files":[],' + body()[1:],
    ],
)
def test_anything_else_is_refused_as_invalid(sent: bytes) -> None:
    with pytest.raises(ApiProblemError) as caught:
        encode_manifest(sent)
    assert caught.value.slug == "invalid"


def test_a_wrong_entry_is_named() -> None:
    with pytest.raises(ApiProblemError) as caught:
        encode_manifest(body(file(), file(mode=99999)))
    assert caught.value.problems[0]["path"] == "files[1].mode"


def test_more_files_than_the_limit_are_refused() -> None:
    entry = json.dumps(file()).encode()
    sent = b'{"files":[' + b",".join([entry] * (MAX_ARTIFACT_FILES + 1)) + b"]}"
    with pytest.raises(ApiProblemError) as caught:
        encode_manifest(sent)
    assert str(MAX_ARTIFACT_FILES) in caught.value.problems[0]["message"]


def test_paths_are_checked_in_batches_before_anything_is_returned() -> None:
    seen: list[int] = []

    def check(paths: Sequence[str]) -> None:
        seen.append(len(paths))

    encode_manifest(body(*(file(f"out/{at}") for at in range(2001))), check)
    assert seen == [1000, 1000, 1]


def test_equal_manifests_have_one_digest_whatever_their_spacing() -> None:
    assert encode_manifest(body(file())).sha256 == encode_manifest(body(file(), indent=1)).sha256
    assert encode_manifest(body(file())).sha256 != encode_manifest(body(file("b"))).sha256
