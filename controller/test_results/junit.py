"""Reads JUnit XML: the elements `testsuite` and `testcase` that nearly every test tool writes.

The parser is expat without a document type: a file that declares entities or refers to external ones is refused, so
that nothing is expanded and nothing is opened. Unknown elements are ignored.
"""

from __future__ import annotations

from xml.parsers import expat

from controller.test_results.model import (
    MAX_PARSED_TESTS,
    MAX_TEXT_LENGTH,
    Outcome,
    ReportError,
    TestResult,
    parse_seconds,
)

_MAX_DEPTH = 60
_OUTCOMES: dict[str, Outcome] = {"failure": "failed", "error": "error", "skipped": "skipped"}
_TEXTS = frozenset((*_OUTCOMES, "rerunFailure", "flakyFailure", "system-out", "system-err"))


def parse_junit(data: bytes) -> list[TestResult]:
    """The tests of a file. Raises ReportError."""
    reader = _Reader()
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ReportError(f"it is not valid XML: {expat.ErrorString(error.code)}", error.lineno) from None
    except (LookupError, ValueError):
        # An encoding that Python does not know, or that takes several bytes per character.
        raise ReportError("its encoding is not supported; use UTF-8", 1) from None
    if not reader.has_suite:
        raise ReportError("it is not a JUnit report: it has neither <testsuites> nor <testsuite>", 1)
    return reader.tests


class _Reader:
    """Handlers of the parser, and what they have found."""

    def __init__(self) -> None:
        self.tests: list[TestResult] = []
        self.has_suite = False
        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._refuse
        parser.ExternalEntityRefHandler = self._refuse
        self._depth = 0
        self._suites: list[str] = []
        self._test: TestResult | None = None
        self._into: str | None = None
        self._pieces: list[str] = []
        self._size = 0

    def _refuse(self, *_: object) -> int:
        raise ReportError("it declares entities, which are not read", self.parser.CurrentLineNumber)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        line = self.parser.CurrentLineNumber
        if self._depth > _MAX_DEPTH:
            raise ReportError(f"its elements are nested more than {_MAX_DEPTH} levels deep", line)
        if self._depth == 1 and tag not in ("testsuites", "testsuite"):
            raise ReportError(f"it is not a JUnit report: its root element is <{tag[:40]}>", line)
        if tag in ("testsuites", "testsuite"):
            self.has_suite = True
            self._suites.append(attributes.get("name", "") if tag == "testsuite" else "")
        elif tag == "testcase":
            if len(self.tests) >= MAX_PARSED_TESTS:
                raise ReportError(f"it has more than {MAX_PARSED_TESTS:,} tests", line)
            self._test = _test_of(attributes, self._suites[-1] if self._suites else "")
            self.tests.append(self._test)
        elif self._test is not None and tag in _TEXTS:
            self._into, self._pieces, self._size = tag, [], 0
            if tag in _OUTCOMES and self._test.outcome not in ("failed", "error"):
                self._test.outcome = _OUTCOMES[tag]
                self._test.message = attributes.get("message", "") or attributes.get("type", "")

    def _text(self, text: str) -> None:
        # A little more than is kept: both ends are shown.
        if self._into is None:
            return
        self._pieces.append(text)
        self._size += len(text)
        if self._size > 8 * MAX_TEXT_LENGTH:
            joined = "".join(self._pieces)
            self._pieces = [joined[: 2 * MAX_TEXT_LENGTH], "\n…\n", joined[-2 * MAX_TEXT_LENGTH :]]
            self._size = sum(map(len, self._pieces))

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if tag in ("testsuites", "testsuite"):
            self._suites.pop()
        elif tag == "testcase":
            self._test = None
        elif tag == self._into and self._test is not None:
            text, self._into = "".join(self._pieces), None
            if tag in ("system-out", "system-err"):
                self._test.output = f"{self._test.output}\n{text}" if self._test.output else text
            elif text.strip() and tag in _OUTCOMES:
                self._test.details = f"{self._test.details}\n\n{text}" if self._test.details else text


def _test_of(attributes: dict[str, str], suite: str) -> TestResult:
    name, owner = attributes.get("name", ""), attributes.get("classname", "") or suite
    file, line = attributes.get("file", ""), attributes.get("line", "")
    found = TestResult(
        name=name or "(no name)",
        suite=owner,
        seconds=parse_seconds(attributes.get("time")),
        file=file,
        line=int(line) if line.isascii() and line.isdigit() and len(line) < 8 else None,
    )
    found.rerun = _rerun_name(found)
    if found.line is not None and file.endswith(".py"):
        # pytest counts from 0 there.
        found.line += 1
    return found


def _rerun_name(test: TestResult) -> str:
    """`file::Class::name` as pytest takes it, if the report names the file; otherwise `class.name`."""
    if test.file.endswith(".py"):
        module = test.file[:-3].replace("\\", "/").replace("/", ".")
        inner = test.suite.removeprefix(module).strip(".") if test.suite.startswith(module) else ""
        return "::".join((test.file, *(part for part in inner.split(".") if part), test.name))
    return f"{test.suite}.{test.name}" if test.suite else test.name
