"""Reads payloads of forges: untrusted JSON, of which every value that is used is checked for its type and size."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from controller.pipeline.conditions import MAX_CHANGED_FILES
from controller.run_types import patterns
from controller.webhooks.event import PayloadError

MAX_URL_LENGTH = patterns.MAX_GIT_URL_LENGTH
MAX_MESSAGE_LENGTH = 4096
"""Characters of a commit message or title that are read; git keeps the subject far shorter."""
MAX_CHANGED_CHARACTERS = 256 * 1024
"""Characters of all changed files together, so that a run fits into the cluster's store."""
MAX_CHANGES = 20
"""Branches and tags of one push that are looked at; of more, none is."""
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ZEROS = re.compile(r"0+")
_FORBIDDEN_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|[/.]$|\.lock$|/\.")
"""What git allows in no name of a branch or tag, and a leading dash, which is an option."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Payload:
    """A JSON object with checked access. Paths are keys with dots between them: `repository.full_name`."""

    def __init__(self, data: dict[str, Any], path: str = "") -> None:
        self._data = data
        self._path = path

    def _name(self, path: str) -> str:
        return f"{self._path}.{path}" if self._path else path

    def _find(self, path: str) -> Any:
        found: Any = self._data
        for key in path.split("."):
            if not isinstance(found, dict):
                return None
            found = found.get(key)
        return found

    def text(self, path: str, default: str | None = None, *, limit: int = patterns.MAX_SHORT_TEXT_LENGTH) -> str:
        """A text of one line. Raises PayloadError if it is missing without a default, or not such a text."""
        found = self._find(path)
        if found is None and default is not None:
            return default
        if not isinstance(found, str) or len(found) > limit or _CONTROL.search(found):
            raise PayloadError(f"{self._name(path)} is not a line of at most {limit} characters")
        return checked_unicode(found, self._name(path))

    def message(self, path: str) -> str:
        """The beginning of a text of several lines; empty if it is missing."""
        found = self._find(path)
        return found[:MAX_MESSAGE_LENGTH].encode("utf-8", "replace").decode() if isinstance(found, str) else ""

    def number(self, path: str) -> int:
        """A number from 1. Raises PayloadError."""
        found = self._find(path)
        if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= patterns.MAX_RUN_NUMBER:
            raise PayloadError(f"{self._name(path)} is not a number from 1")
        return found

    def count(self, path: str) -> int | None:
        """A number from 0; None if there is none."""
        found = self._find(path)
        return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None

    def flag(self, path: str) -> bool:
        """Whether a field is true."""
        return self._find(path) is True

    def has(self, path: str) -> bool:
        """Whether a field is there and not null."""
        return self._find(path) is not None

    def commit(self, path: str) -> str:
        """A commit; empty for the zeros that stand for none. Raises PayloadError."""
        found = self._find(path)
        if not isinstance(found, str) or not _COMMIT.fullmatch(found):
            raise PayloadError(f"{self._name(path)} is not a commit of 40 or 64 hexadecimal digits")
        return "" if _ZEROS.fullmatch(found) else found

    def optional_commit(self, path: str) -> str:
        """A commit; empty if there is none, or it is not complete, as Bitbucket shortens them."""
        found = self._find(path)
        return found if isinstance(found, str) and _COMMIT.fullmatch(found) and not _ZEROS.fullmatch(found) else ""

    def ref(self, path: str) -> str:
        """The name of a branch, tag or reference that git would accept. Raises PayloadError."""
        found = self.text(path)
        if not found or _FORBIDDEN_IN_REF.search(found):
            raise PayloadError(f"{self._name(path)} is not a name that git accepts for a branch or tag")
        return found

    def urls(self, *paths: str) -> tuple[str, ...]:
        """Those of the fields that are URLs."""
        found = (self._find(path) for path in paths)
        return tuple(
            dict.fromkeys(
                each
                for each in found
                if isinstance(each, str) and 0 < len(each) <= MAX_URL_LENGTH and not _CONTROL.search(each)
            )
        )

    def time(self, path: str) -> datetime | None:
        """A time in RFC 3339, as GitLab and Bitbucket vary it, or in seconds since 1970; None if it is none."""
        found = self._find(path)
        try:
            if isinstance(found, int) and not isinstance(found, bool):
                return datetime.fromtimestamp(found, UTC)
            if isinstance(found, str) and len(found) <= 40:
                moment = datetime.fromisoformat(found.removesuffix(" UTC") + ("Z" if found.endswith(" UTC") else ""))
                return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError, OSError):
            return None
        return None

    def object(self, path: str) -> Payload:
        """An object. Raises PayloadError if it is missing."""
        found = self._find(path)
        if not isinstance(found, dict):
            raise PayloadError(f"{self._name(path)} is not an object")
        return Payload(found, self._name(path))

    def objects(self, path: str) -> list[Payload]:
        """The objects of a list; nothing if it is missing. Raises PayloadError for anything else."""
        found = self._find(path)
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise PayloadError(f"{self._name(path)} is not a list of objects")
        return [Payload(each, f"{self._name(path)}[{index}]") for index, each in enumerate(found)]

    def texts(self, path: str) -> Iterator[str]:
        """The texts of a list; nothing if it is missing. Raises PayloadError for anything else."""
        found = self._find(path)
        if found is None:
            return
        if not isinstance(found, list):
            raise PayloadError(f"{self._name(path)} is not a list")
        for each in found:
            if not isinstance(each, str):
                raise PayloadError(f"{self._name(path)} has an entry that is not a text")
            yield checked_unicode(each, self._name(path))


def checked_unicode(text: str, name: str) -> str:
    """The text, unless it has half a surrogate pair, which JSON can express and UTF-8 can't. Raises PayloadError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PayloadError(f"{name} is not valid Unicode") from None
    return text


def parse_body(body: bytes, content_type: str) -> Payload:
    """The payload of a request: JSON, or JSON in the form field `payload`. Raises PayloadError."""
    if content_type.split(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        try:
            fields = parse_qs(body.decode(), strict_parsing=True, max_num_fields=10)
            body = fields["payload"][0].encode()
        except (ValueError, KeyError):
            raise PayloadError("the form has no field `payload`") from None
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise PayloadError("the body is not JSON") from None
    if not isinstance(data, dict):
        raise PayloadError("the body is not a JSON object")
    return Payload(data)


def changed_files(commits: Iterable[Payload]) -> tuple[str, ...] | None:
    """The files that these commits changed, in order of their names; None if they are too many, or one is unusable.

    GitHub, GitLab and Gitea list `added`, `modified` and `removed` of each commit.
    """
    found: set[str] = set()
    characters = 0
    for commit in commits:
        for kind in ("added", "modified", "removed"):
            for path in commit.texts(kind):
                if path in found:
                    continue
                characters += len(path)
                is_usable = path and len(path) <= patterns.MAX_FILE_NAME_LENGTH and "\0" not in path
                if not is_usable or len(found) >= MAX_CHANGED_FILES or characters > MAX_CHANGED_CHARACTERS:
                    return None
                found.add(path)
    return tuple(sorted(found))
