"""Manifests of artifacts as agents send them: checked, and encoded with what is asked most in front.

Nothing is decoded in one piece, because a body of 30 MB would stop the event loop for seconds and need many times its
size in memory. It is read from left to right, an entry at a time.
"""

import codecs
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import ValidationError

from controller.api.artifacts.manifest import ARCHIVE_FIELD, MAX_ENTRY_BYTES, JsonObject
from controller.api.http.problems import ApiProblemError, problem_for_validation
from controller.api.models.agent import MAX_ARTIFACT_FILES, ManifestArchive, ManifestFile
from controller.api.models.common import RequestModel

_CHUNK_FILES = 1000
_USUAL_ENTRY_BYTES = 1024
_MAX_JOINED_PIECES = 3
_BLANK = re.compile(rb"[ \t\r\n]*")


@dataclass(frozen=True)
class EncodedManifest:
    """A manifest as it is stored: in pieces, with their digest, and what it says of its archive."""

    archive: JsonObject
    pieces: list[bytes]
    sha256: str

    def content(self) -> bytes | AsyncIterator[bytes]:
        """The bytes of a short document, the stream of a long one."""
        return b"".join(self.pieces) if len(self.pieces) <= _MAX_JOINED_PIECES else _iterate(self.pieces)


def encode_manifest(body: bytes, check_paths: Callable[[Sequence[str]], None] | None = None) -> EncodedManifest:
    """The document of a manifest that an agent sent. The number and size of the files stand in front of the list.

    Raises a problem for a body that is not a manifest. It takes about 5 µs for each file, most of it in this thread.

    Args:
        check_paths: called with the paths of some 1,000 files at a time.
    """
    archive, files = _SentManifest(body).read()
    lists: list[bytes] = []
    count, size = 0, 0
    for chunk in _chunks(files):
        if check_paths is not None:
            check_paths([file.path for file in chunk])
        count, size = count + len(chunk), size + sum(file.size for file in chunk)
        encoded = _encode([{"path": f.path, "size": f.size, "sha256": f.sha256, "mode": f.mode} for f in chunk])
        lists.append(("," if lists else "").encode() + encoded[1:-1].encode())
    found = archive()
    head = f'{{{ARCHIVE_FIELD}{_encode(found)},"count":{_encode({"files": count, "bytes": size})},"files":['
    pieces = [head.encode(), *lists, b"]}"]
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return EncodedManifest(found, pieces, digest.hexdigest())


async def _iterate(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


class _SentManifest:
    """Reads the JSON of a manifest from left to right. `read` returns a function for the archive: it may come last."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0
        self._archive: JsonObject | None = None
        self._has_files = False

    def read(self) -> tuple[Callable[[], JsonObject], Iterator[ManifestFile]]:
        return self._complete_archive, self._read_files()

    def _complete_archive(self) -> JsonObject:
        """What the body says of the archive, once all files were read."""
        if self._archive is None or not self._has_files:
            name = "files" if self._archive is not None else "archive"
            raise problem_for_validation([{"loc": ("body", name), "msg": "Field required"}])
        return self._archive

    def _read_files(self) -> Iterator[ManifestFile]:
        self._expect(b"{")
        while not self._accept(b"}"):
            name = self._value(b'"')
            self._expect(b":")
            if name == "archive" and self._archive is None:
                self._archive = _validate(ManifestArchive, self._value(b"{"), ("archive",)).model_dump(mode="json")
            elif name == "files" and not self._has_files:
                self._has_files = True
                yield from self._list()
            else:
                raise problem_for_validation([{"loc": ("body", str(name)[:100]), "msg": "Extra or repeated field"}])
            if not self._accept(b","):
                self._expect(b"}")
                break
        if _skip_blank(self._body, self._at) != len(self._body):
            raise self._malformed()

    def _list(self) -> Iterator[ManifestFile]:
        self._expect(b"[")
        count = 0
        while not self._accept(b"]"):
            if count == MAX_ARTIFACT_FILES:
                message = f"List should have at most {MAX_ARTIFACT_FILES} items"
                raise problem_for_validation([{"loc": ("body", "files"), "msg": message}])
            yield _validate(ManifestFile, self._value(b"{"), ("files", count))
            count += 1
            if not self._accept(b","):
                self._expect(b"]")
                break

    def _value(self, first: bytes) -> Any:
        """The next object or text, which `first` begins, of at most MAX_ENTRY_BYTES."""
        self._at = _skip_blank(self._body, self._at)
        if not self._body.startswith(first, self._at):
            raise self._malformed()
        for size in (_USUAL_ENTRY_BYTES, MAX_ENTRY_BYTES):
            try:
                # The end of the window may cut a character, but nothing else may be wrong with its bytes.
                text, _ = codecs.utf_8_decode(self._body[self._at : self._at + size], "strict", False)
                value, end = json.JSONDecoder().raw_decode(text)
            except (ValueError, RecursionError):
                continue
            self._at += end if text.isascii() else len(text[:end].encode())
            return value
        raise self._malformed()

    def _accept(self, symbol: bytes) -> bool:
        self._at = _skip_blank(self._body, self._at)
        found = self._body.startswith(symbol, self._at)
        self._at += found
        return found

    def _expect(self, symbol: bytes) -> None:
        if not self._accept(symbol):
            raise self._malformed()

    def _malformed(self) -> ApiProblemError:
        return ApiProblemError("invalid", f"the manifest is not the expected JSON at byte {self._at}")


def _validate(model: type[RequestModel], value: Any, where: tuple[str | int, ...]) -> Any:
    try:
        found = model.model_validate(value)
    except ValidationError as error:
        raise problem_for_validation(
            [{**each, "loc": ("body", *where, *each["loc"])} for each in error.errors()]
        ) from None
    try:
        getattr(found, "path", "").encode()
    except UnicodeEncodeError:
        raise ApiProblemError("invalid", "a text in the body is not valid Unicode") from None
    return found


def _skip_blank(body: bytes, position: int) -> int:
    match = _BLANK.match(body, position)
    return match.end() if match is not None else position


def _encode(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _chunks(files: Iterable[ManifestFile]) -> Iterable[list[ManifestFile]]:
    iterator = iter(files)
    while chunk := list(islice(iterator, _CHUNK_FILES)):
        yield chunk
