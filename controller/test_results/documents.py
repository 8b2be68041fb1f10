"""The stored document of an attempt's tests, and the keys of what is stored."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.test_results.model import FAILED_OUTCOMES, Json, TestResult

if TYPE_CHECKING:
    from controller.storage import ObjectStore

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
_EMPTY = (None, "")


@dataclass(frozen=True)
class TestsKey:
    """Identifies the tests of an attempt of a step of the run with this uid: names of runs are used again."""

    __test__ = False

    namespace: str
    run_uid: str
    slug: str
    attempt: int

    @property
    def document(self) -> str:
        """The key of the document, which is written last."""
        return f"reports/{self.namespace}/{self.run_uid}/{self.slug}/{self.attempt}.json.gz"


def encode_document(tests: Sequence[TestResult], keys: Sequence[str], warnings: Iterable[str], counts: Json) -> bytes:
    """The document: the tests in this order, each with its key in the history; fields without a value are absent."""
    listed = []
    for test, key in zip(tests, keys, strict=True):
        fields: Json = {"key": key, "name": test.name, "suite": test.suite, "outcome": test.outcome}
        more = {
            "seconds": test.seconds,
            "file": test.file,
            "line": test.line,
            "message": test.message,
            "details": test.details,
            "output": test.output,
            "rerun": test.rerun if test.outcome in FAILED_OUTCOMES else "",
        }
        listed.append(fields | {name: value for name, value in more.items() if value not in _EMPTY})
    document = {"version": 1, "counts": counts, "warnings": list(warnings), "tests": listed}
    return gzip.compress(json.dumps(document, separators=(",", ":")).encode(), 3, mtime=0)


def decode_document(data: bytes) -> Json:
    """The document that was stored. Raises ValueError for a damaged one."""
    engine = zlib.decompressobj(31)
    try:
        plain = engine.decompress(data, MAX_DOCUMENT_BYTES)
        if not engine.eof:
            raise ValueError("they are cut off, or too large")
        found = json.loads(plain)
    except (zlib.error, ValueError) as error:
        raise ValueError(f"the stored tests are damaged: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("tests"), list):
        raise ValueError("the stored tests are damaged")  # noqa: TRY004 - a value that was read
    return found


async def read_document(store: ObjectStore, key: TestsKey) -> Json | None:
    """The document of an attempt; None if none is stored. Raises ValueError for a damaged one."""
    if await store.head(key.document) is None:
        return None
    return decode_document(await store.get(key.document, limit=MAX_DOCUMENT_BYTES))


def failed_tests(document: Json) -> list[Json]:
    """The tests that failed: as the list for `rerunFailed` names them, and with suite and name, each once."""
    found: dict[str, Json] = {}
    for test in document["tests"]:
        if test.get("outcome") in FAILED_OUTCOMES and (name := str(test.get("rerun") or "")):
            found.setdefault(name, {"rerun": name, "suite": str(test.get("suite") or ""), "name": str(test["name"])})
    return list(found.values())
