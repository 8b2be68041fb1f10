"""The line that says why a step failed."""

from array import array

import pytest

from controller.logs.failure import LONGEST_TEXT, first_failure
from controller.logs.stream import Block

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


def test_what_a_terminal_would_act_on_is_left_out() -> None:
    failure = first_failure(blocks(b"\x1b[31merror:\x1b[0m \x1b]0;title\x07bad\x00\x9b \xe2\x80\xae end\xff\n"))
    assert failure is not None
    assert failure.text.startswith("error: bad")
    assert failure.text.replace("\ufffd", "").isprintable()


def test_an_endless_line_is_cut_and_costs_little() -> None:
    failure = first_failure(blocks(b"error: " + b"a.b:1" * 200_000 + b"\n"))
    assert failure is not None
    assert len(failure.text) == LONGEST_TEXT
