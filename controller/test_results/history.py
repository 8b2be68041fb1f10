"""The outcomes of a pipeline's tests in its last runs, and which tests are flaky.

Of each attempt with tests a small object stays when the run is removed: a header, an outcome for each test, and the
keys of the tests. A test is *flaky* if among these attempts it has both failed and passed in two of the same inputs:
of the same step with the same reuse key, or where only the failed tests were run again, on the same source.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from controller.run_types.order import creation_order

KEPT_RUNS = 50
KEY_BYTES = 8
_MAX_OUTCOMES_BYTES = 4 * 1024 * 1024
_LETTERS = {"passed": "P", "failed": "F", "error": "F", "skipped": "S"}
ABSENT = "-"
"""The letter of an attempt that did not run the test."""


@dataclass(frozen=True)
class Header:
    """What the outcomes are of.

    Attributes:
        inputs: the reuse key of the step; empty if it has none.
        source: what identifies the files that the run was made of; empty if nothing does.
        partial_of: the uid, slug and attempt whose failed tests alone were run; empty for a whole step.
    """

    run: str
    number: int | None
    uid: str
    slug: str
    step: str
    attempt: int
    commit: str = ""
    inputs: str = ""
    source: str = ""
    partial_of: tuple[str, str, int] | tuple[()] = ()


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of one attempt: of each test (by its key, in hex) a letter: P, F or S."""

    header: Header
    letters: Mapping[str, str]


@dataclass(frozen=True)
class History:
    """Attempts from the oldest to the newest; of each test a letter for each, and the flaky tests."""

    attempts: Sequence[Header]
    tests: Mapping[str, str]
    flaky: frozenset[str]


def history_key(suite: str, name: str) -> str:
    """The key of a test in histories, in hex."""
    return hashlib.blake2b(f"{suite}\0{name}".encode("utf-8", "replace"), digest_size=KEY_BYTES).hexdigest()


def pack_outcomes(keys: Sequence[str], outcomes: Sequence[str]) -> bytes:
    """The outcomes without their header. Of tests with the same key, one that failed counts before others."""
    found: dict[str, str] = {}
    for key, outcome in zip(keys, outcomes, strict=True):
        letter = _LETTERS[outcome]
        if found.get(key) != "F":
            found[key] = letter
    return b"\n".join(("".join(found.values()).encode(), bytes.fromhex("".join(found))))


def encode_outcomes(header: Header, packed: bytes) -> bytes:
    """The stored form of what `pack_outcomes` has returned."""
    head = json.dumps(asdict(header), separators=(",", ":")).encode()
    return zlib.compress(head + b"\n" + packed, 3)


def decode_outcomes(data: bytes) -> Outcomes:
    """Raises ValueError for what is damaged."""
    try:
        engine = zlib.decompressobj()
        plain = engine.decompress(data, _MAX_OUTCOMES_BYTES)
        if not engine.eof:
            raise ValueError("they are cut off, or too large")
        head, letters, keys = plain.split(b"\n", 2)
        about = json.loads(head)
        about["partial_of"] = tuple(about.get("partial_of") or ())
        header = Header(**about)
    except (zlib.error, ValueError, TypeError) as error:
        raise ValueError(f"stored outcomes are damaged: {error}") from None
    text, width = keys.hex(), 2 * KEY_BYTES
    split = [text[at : at + width] for at in range(0, len(text), width)]
    if len(split) != len(letters):
        raise ValueError("stored outcomes are damaged")
    return Outcomes(header, dict(zip(split, letters.decode("ascii"), strict=True)))


def build_history(found: Sequence[Outcomes], keys: Iterable[str]) -> History:
    """The history of these tests. `found`: the attempts of one step, from the oldest to the newest."""
    flaky = _flaky_tests(found)
    columns = [each.letters for each in found]
    tests = {key: "".join([column.get(key, ABSENT) for column in columns]) for key in keys}
    return History([each.header for each in found], tests, frozenset(flaky & tests.keys()))


def _flaky_tests(found: Sequence[Outcomes]) -> set[str]:
    groups: dict[str, list[Outcomes]] = {}
    for each, inputs in zip(found, input_groups([each.header for each in found]), strict=True):
        if inputs:
            groups.setdefault(inputs, []).append(each)
    flaky: set[str] = set()
    for group in groups.values():
        if len(group) > 1:
            failed = {key for each in group for key, letter in each.letters.items() if letter == "F"}
            flaky |= {key for each in group for key in failed if each.letters.get(key) == "P"}
    return flaky


def input_groups(headers: Sequence[Header]) -> list[str]:
    """Of each attempt what it has in common with others of the same inputs; empty if that is not known."""
    by_attempt = {(each.uid, each.slug, each.attempt): each for each in headers}
    groups: list[str] = []
    for header in headers:
        origin, seen = header, 0
        while origin.partial_of and seen < KEPT_RUNS:
            before = by_attempt.get((str(origin.partial_of[0]), str(origin.partial_of[1]), int(origin.partial_of[2])))
            if before is None or not before.source or before.source != header.source:
                break
            origin, seen = before, seen + 1
        groups.append("" if origin.partial_of else origin.inputs)
    return groups


def outcomes_prefix(namespace: str, namespace_uid: str, pipeline: str) -> str:
    """What the keys of all outcomes of a pipeline begin with. A namespace of the same name may be another one."""
    return f"tests/{namespace}/{namespace_uid}/{pipeline}/"


def outcomes_key(prefix: str, run: Mapping[str, Any], header: Header) -> str:
    """The key of an attempt's outcomes, of a PipelineRun: keys sort as the runs were created."""
    created, *rest = creation_order(run)
    second = int(datetime.fromisoformat(created).timestamp())
    return f"{prefix}{second:010d}-{rest[0]}{rest[1]:018d}.{header.uid}.{header.slug}.{header.attempt}"


def parse_outcomes_key(key: str) -> tuple[str, str, str, int] | None:
    """(what runs sort by, uid, slug, attempt) of a key; None for another key. Earlier ones have no number."""
    parts = key.rpartition("/")[2].split(".")
    if len(parts) != 4 or not parts[3].isdigit():
        return None
    return f"{parts[0]}.{parts[1]}", parts[1], parts[2], int(parts[3])


def surplus_keys(keys: Iterable[str]) -> list[str]:
    """The keys of the runs before the last `KEPT_RUNS`."""
    parsed = {key: found[0] for key in keys if (found := parse_outcomes_key(key)) is not None}
    kept = set(sorted(set(parsed.values()))[-KEPT_RUNS:])
    return [key for key, run in parsed.items() if run not in kept]


def as_json(header: Header) -> dict[str, Any]:
    """A header for the API."""
    return {"run": header.run, "number": header.number, "attempt": header.attempt, "commit": header.commit or None}
