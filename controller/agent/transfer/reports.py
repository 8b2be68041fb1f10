"""Reports of tests: collects what a step has written, also after a failure, and sends it to the API.

Nothing about a report fails a step: what can't be sent is said in the log, and by the API beside the tests.
"""

# ruff: noqa: PTH123
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import json
import os
import stat
import time

from ..archive.pack import ArchiveTooLargeError, compress
from ..archive.root_folder import RootFolder
from ..archive.scratch_file import read_chunks, scratch_file
from ..errors import AgentError, printable
from ..globs import collect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..client import AgentClient
    from ..settings import AgentSettings

MAX_FILES = 1000
MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_TOTAL_BYTES = 64 * 1024 * 1024
MAX_PACKED_BYTES = 16 * 1024 * 1024
_CHUNK_SIZE = 256 * 1024


def send_reports(settings: AgentSettings, client: AgentClient, exit_code: str | None) -> dict[str, Any] | None:
    """Send the reports of the step; what the API has counted in them, or None if they are not stored.

    Args:
        exit_code: of its commands; None if they never began, so that there are no reports.
    """
    if exit_code is None:
        return None
    started, attempt_key = time.monotonic(), (settings.require("C8S_STEP_SLUG"), settings.require("C8S_ATTEMPT"))
    try:
        with scratch_file(settings.workspace) as file:
            size, _ = compress(
                _bundle(settings.workspace, settings.globs_by_name("C8S_REPORTS")), file, MAX_PACKED_BYTES
            )
            counts = client.send_reports(*attempt_key, lambda: read_chunks(file), size)
    except ArchiveTooLargeError as error:
        print(f"tests: the reports are not stored: {error}", flush=True)
        return None
    except (AgentError, OSError) as error:
        print(f"tests: the reports are not stored: {_describe(error)}", flush=True)
        return None
    took = time.monotonic() - started
    print(f"stored {counts['total']} test results, {counts['failed']} failed, in {took:.2f} s", flush=True)
    if counts.get("warning"):
        more = counts["warnings"] - 1
        print(f"tests: {printable(counts['warning'])}" + (f" (and {more} more warnings)" if more else ""), flush=True)
    return counts


def fetch_failed_tests(settings: AgentSettings, client: AgentClient) -> None:
    """Write the tests that failed before to the file that the step reads, one in each line. Raises AgentError."""
    found = client.failed_tests()
    with RootFolder(settings.workspace) as folder:
        tests = [_rerun_name(folder, each) for each in found]
    path = settings.require("C8S_GATE") + "/failed-tests"
    # On some nodes the step runs as another user.
    with open(path, "w", encoding="utf-8", errors="surrogateescape", opener=_open_readable) as file:
        file.writelines(f"{' '.join(name.split())}\n" for name in tests)
    print(f"only the {len(tests)} tests that failed are run", flush=True)


def _rerun_name(folder: RootFolder, test: dict[str, Any]) -> str:
    """The line of a test: of a Python class whose module is in the workspace, as pytest names it."""
    parts = str(test.get("suite") or "").split(".")
    if all(part.isidentifier() for part in parts) and "::" not in test["rerun"]:
        for count in range(len(parts), 0, -1):
            path = "/".join(parts[:count]) + ".py"
            try:
                is_file = stat.S_ISREG(folder.stat(path).st_mode)
            except OSError:
                continue
            if is_file:
                return "::".join((path, *parts[count:], str(test.get("name"))))
    return str(test["rerun"])


def _open_readable(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def _bundle(root: str, globs: dict[str, list[str]]) -> Iterator[bytes]:
    """The files with a line of JSON before each, as `controller.test_results.bundle` reads them."""
    left, room = MAX_FILES, MAX_TOTAL_BYTES
    seen: set[str] = set()
    with RootFolder(root) as folder:
        for form, patterns in globs.items():
            for pattern in patterns:
                try:
                    paths = [path for path in collect(root, [], [pattern]) if not path.endswith("/")]
                except AgentError as error:
                    yield _header(pattern, form, problem=str(error))
                    continue
                if not paths:
                    yield _header(pattern, form, problem="no file matches")
                for path in paths:
                    if path in seen:
                        continue
                    seen.add(path)
                    left -= 1
                    if left < 0:
                        yield _header(pattern, form, problem=f"only the first {MAX_FILES} reports are read")
                        return
                    for chunk in _file(folder, path, form, room):
                        yield chunk
                        room -= len(chunk)


def _file(folder: RootFolder, path: str, form: str, room: int) -> Iterator[bytes]:
    """The header and the content of a file; links are not followed."""
    try:
        with open(folder.open_file(path), "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                yield _header(path, form, problem="it is not a file")
                return
            if found.st_size > MAX_FILE_BYTES:
                limit = MAX_FILE_BYTES // 1024**2
                yield _header(path, form, problem=f"it has more than {limit} MiB and is not read")
                return
            if found.st_size > room:
                limit = MAX_TOTAL_BYTES // 1024**2
                yield _header(path, form, problem=f"the reports have more than {limit} MiB together; it is not read")
                return
            # Read before its size is announced: another process may still write it.
            content = bytearray()
            while len(content) < found.st_size and (chunk := file.read(min(_CHUNK_SIZE, found.st_size - len(content)))):
                content += chunk
    except OSError as error:
        link = (
            "it is a link, which is not followed" if _is_link(folder, path) else f"it can't be read: {error.strerror}"
        )
        yield _header(path, form, problem=link)
        return
    yield _header(path, form, size=len(content))
    yield bytes(content)


def _is_link(folder: RootFolder, path: str) -> bool:
    try:
        return stat.S_ISLNK(folder.stat(path).st_mode)
    except OSError:
        return False


def _header(path: str, form: str, **about: Any) -> bytes:
    return json.dumps({"path": printable(path), "format": form, **about}).encode() + b"\n"


def _describe(error: AgentError | OSError) -> str:
    return str(error) if isinstance(error, AgentError) else error.strerror or type(error).__name__
