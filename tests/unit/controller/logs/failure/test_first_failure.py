"""The line that says why a step failed."""

from array import array

import pytest

from controller.logs.archive.summary import Failure, Summary, parse_summary
from controller.logs.failure.first_failure import (
    MAX_TEXT_LENGTH,
    SEARCH_BYTES,
    SEARCH_LINES,
    first_failure,
    last_line,
)
from controller.logs.model import Block
from tests.support.processor_time import processor_seconds

PYTEST = """\
============================= test session starts ==============================
tests/test_a.py F                                                        [100%]
    def test_a():
>       assert 1 == 2
E       assert 1 == 2

tests/test_a.py:3: AssertionError
=========================== short test summary info ============================
FAILED tests/test_a.py::test_a - assert 1 == 2
1 failed, 0 errors in 0.01s
"""
TRACEBACK = """\
Traceback (most recent call last):
  File "/w/a.py", line 3, in <module>
    main()
KeyError: 'x'
"""
COMPILER = """\
gcc -c a.c
src/a.c:12:5: error: 'x' undeclared (first use)
src/a.c:13:1: error: expected ';'
make: *** [a.o] Error 1
"""
GO = "--- FAIL: TestX (0.00s)\n    x_test.go:10: got 1, expected 2\nFAIL\n"


def blocks(text: bytes, first: int = 1) -> list[Block]:
    return [Block(first, array("q", [0] * text.count(b"\n")), text)]


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        (PYTEST, 7, "tests/test_a.py:3: AssertionError"),
        (TRACEBACK, 4, "KeyError: 'x'"),
        (COMPILER, 2, "src/a.c:12:5: error: 'x' undeclared (first use)"),
        (GO, 2, "x_test.go:10: got 1, expected 2"),
        ("building\nERROR: no such thing\nbye\n", 2, "ERROR: no such thing"),
        ("src/b.c:1:1: error: x\n::error file=src/a.py,line=3,title=Types::a %2525 b%0Ac\n", 2, "Types: a %25 b c"),
        ("::error::\n", 1, "::error::"),
        ("sh: 1: nope: not found\n", 1, "sh: 1: nope: not found"),
        ("0 errors, all well\nthen it ended\n\n", 2, "then it ended"),
    ],
)
def test_the_most_telling_line_is_found(text: str, line: int, found: str) -> None:
    failure = first_failure(blocks(text.encode()))
    assert failure is not None
    assert (failure.line, failure.text) == (line, found)


def test_line_numbers_are_those_of_the_log() -> None:
    failure = first_failure(blocks(b"error: x\n", first=901))
    assert failure is not None
    assert failure.line == 901


def test_a_step_that_printed_nothing_has_no_failing_line() -> None:
    assert first_failure([]) is None


def test_terminal_control_sequences_are_removed() -> None:
    failure = first_failure(blocks(b"\x1b[31merror:\x1b[0m \x1b]0;title\x07bad\x00\x9b \xe2\x80\xae end\xff\n"))
    assert failure is not None
    assert failure.text.startswith("error: bad")
    assert failure.text.replace("\ufffd", "").isprintable()


def test_an_endless_line_is_cut_and_costs_little() -> None:
    failure = first_failure(blocks(b"error: " + b"a.b:1" * 200_000 + b"\n"))
    assert failure is not None
    assert len(failure.text) == MAX_TEXT_LENGTH


@pytest.mark.parametrize(
    ("text", "file", "line"),
    [
        (PYTEST, "tests/test_a.py", 3),
        (TRACEBACK, "/w/a.py", 3),
        (COMPILER, "src/a.c", 12),
        (GO, "x_test.go", 10),
        ("error[E0308]: mismatched types\n --> src/main.rs:2:18\n  |\n", "src/main.rs", 2),
        ("src/a.ts(3,7): error TS2322: Type 'string' is not assignable to type 'number'.\n", "src/a.ts", 3),
        ("\n/w/src/a.js\n  1:7  warning  y\n  3:5  error  'x' is not defined  no-undef\n", "/w/src/a.js", 3),
        ("A.java:3: error: cannot find symbol\n", "A.java", 3),
        ('Exception in thread "main" java.lang.Error: x\n\tat p.A.main(A.java:7)\n', "A.java", 7),
        ("make: *** [Makefile:3: all] Error 1\n", "Makefile", 3),
    ],
    ids=["pytest", "python", "gcc", "go", "rustc", "tsc", "eslint", "javac", "java", "make"],
)
def test_source_location_is_found(text: str, file: str, line: int) -> None:
    failure = first_failure(blocks(text.encode()))
    assert failure is not None
    assert (failure.file, failure.file_line) == (file, line)


@pytest.mark.parametrize(
    "text", ["ERROR: no such thing\n", "error: listening on 10.0.0.1:80 failed\n", "FAILED at 12:30\n"]
)
def test_line_without_a_location_has_none(text: str) -> None:
    failure = first_failure(blocks(text.encode()))
    assert failure is not None
    assert (failure.file, failure.file_line) == (None, None)


def test_the_last_line_is_the_last_that_shows_something() -> None:
    assert last_line(blocks(b"one\n\x1b[31mtwo\x1b[0m\n\n  \n")) == "two"
    assert last_line(blocks(b"\n\n")) is None
    assert last_line([]) is None


def test_a_summary_reads_back_as_it_was_written() -> None:
    for failure in (None, Failure(3, "x"), Failure(3, "x", "a.py", 7)):
        summary = Summary(9, 99, "ab", 1, failure, "last" if failure else None)
        assert parse_summary(summary.to_json(), "k") == summary


def test_summary_without_source_location_is_read() -> None:
    old = b'{"lines":1,"bytes":2,"sha256":"ab","gaps":0,"firstFailure":{"line":1,"text":"x"}}'
    assert parse_summary(old, "k") == Summary(1, 2, "ab", 0, Failure(1, "x"))


HOSTILE = {
    "location again and again": (b"", b" a.b:1: x", b""),
    "location in quotes": (b"", b"'a.b:1:1: ", b""),
    "locations in parentheses": (b"", b"(a.b(1) ", b""),
    "dots": (b"", b"a.", b""),
    "capitals and dots": (b"", b"A.", b""),
    "digits after a location": (b" a.b:", b"1", b""),
    "almost errors": (b"a.b:1: ", b"xErro ", b""),
    "spaces": (b"", b" ", b"x"),
    "spaces before a sign": (b"", b" ", b"-"),
    "brackets": (b"", b"error[", b""),
    "escape sequences": (b"", b"\x1b]", b""),
    "unfinished escape sequence": (b"\x1b[", b"0", b""),
    "thread": (b"thread '", b"'", b""),
    "slashes": (b"", b"/", b"a.b"),
    "separators": (b"", "\u2028a".encode(), b""),
}
"""Lines made to be slow: what they begin with, what is repeated in them, what they end with."""


@pytest.mark.parametrize("parts", HOSTILE.values(), ids=HOSTILE)
def test_lines_made_to_be_slow_are_searched_in_linear_time(parts: tuple[bytes, bytes, bytes]) -> None:
    # The same number of bytes in lines eight times as long: linear time stays the same, quadratic time grows eightfold.
    for _ in range(5):
        if search_seconds(hostile_line(*parts, length=4_000)) < 4 * search_seconds(hostile_line(*parts, length=500)):
            return
    pytest.fail("a search in long lines takes far longer than one in short lines of the same size")


def hostile_line(start: bytes, repeated: bytes, end: bytes, length: int) -> bytes:
    return start + repeated * ((length - len(start) - len(end)) // len(repeated)) + end


def search_seconds(line: bytes) -> float:
    """The processor time of a search in nothing but this line; of the faster one of two."""
    text = (line + b"\n") * (SEARCH_BYTES // 4 // (len(line) + 1))
    return min(processor_seconds(_search, text) for _ in range(2))


def _search(text: bytes) -> None:
    first_failure(blocks(text))
    last_line(blocks(text))


def test_only_the_last_lines_are_searched() -> None:
    text = b"error: the first\n" + b"x\n" * SEARCH_LINES
    assert first_failure(blocks(text)) == Failure(SEARCH_LINES + 1, "x")


@pytest.mark.parametrize(
    ("line", "file", "number"),
    [
        ("::error file=src/a.py,line=3::bad", "src/a.py", 3),
        ("::error file=C%3A/a%2Cb.py,line=7,col=2::bad", "C:/a,b.py", 7),
        ("::error file=src/a.py::bad", None, None),
        ("::error file=src/a.py,line=0::bad", None, None),
        ("::error file=src/a.py,line=99999999::bad", None, None),
    ],
)
def test_annotation_names_the_source_location(line: str, file: str | None, number: int | None) -> None:
    found = first_failure(blocks(f"{line}\n".encode()))
    assert found == Failure(1, "bad", file, number)
