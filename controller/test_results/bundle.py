"""The body in which an agent sends the reports of an attempt: a gzip stream of files, each with a line of JSON before.

The line has `path`, `format` and `size`, or instead of a size the `problem` that kept the agent from sending the file.
The agent writes the same form without this module, because it imports no other package.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from controller.test_results.model import FORMATS, MAX_FILES, MAX_TOTAL_BYTES, ReportError

_MAX_HEADER_BYTES = 32 * 1024
_MAX_UNPACKED = MAX_TOTAL_BYTES + MAX_FILES * 8192


@dataclass(frozen=True)
class ReportFile:
    """A report file: its path in the workspace and its bytes, or the problem with it."""

    path: str
    format: str
    data: bytes = b""
    problem: str = ""


def read_bundle(body: bytes) -> Iterator[ReportFile]:
    """The files of a body. Raises ReportError for one that no agent has made."""
    file = io.BytesIO(_decompress(body))
    count = 0
    while header := file.readline(_MAX_HEADER_BYTES):
        count += 1
        if count > MAX_FILES + 10:
            raise ReportError("there are too many files in it")
        yield _read_file(header, file)


def _read_file(header: bytes, file: BinaryIO) -> ReportFile:
    try:
        about = json.loads(header)
        path, form = str(about["path"]), str(about["format"])
        problem, size = str(about.get("problem") or ""), int(about.get("size") or 0)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ReportError("the header of a file in it is not understood") from None
    if form not in FORMATS or size < 0:
        raise ReportError("the header of a file in it is not understood")
    data = file.read(size)
    if len(data) != size:
        raise ReportError("it is cut off")
    return ReportFile(path, form, data, problem)


def _decompress(body: bytes) -> bytes:
    engine = zlib.decompressobj(31)
    try:
        data = engine.decompress(body, _MAX_UNPACKED)
    except zlib.error:
        raise ReportError("it is not compressed with gzip") from None
    if not engine.eof and not engine.unconsumed_tail:
        raise ReportError("it is cut off")
    if engine.unconsumed_tail:
        raise ReportError(f"it has more than {_MAX_UNPACKED:,} bytes, unpacked")
    return data
