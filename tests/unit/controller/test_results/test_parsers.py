"""Reports are read in each format; broken and hostile ones are refused with the line."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.test_results.gotest import parse_gotest
from controller.test_results.junit import parse_junit
from controller.test_results.model import ReportError
from controller.test_results.tap import parse_tap

_PYTEST = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" tests="4">
<testcase classname="tests.test_cart.TestCart" name="test_total[1]" time="0.5" file="tests/test_cart.py" line="6">
<failure message="assert 41 == 42">def test_total():
&gt;   assert total() == 42
E   assert 41 == 42

tests/test_cart.py:9: AssertionError</failure><system-out>adding up</system-out></testcase>
<testcase classname="tests.test_cart" name="test_empty" time="1,000.25"/>
<testcase classname="tests.test_cart" name="test_later"><skipped type="pytest.skip" message="not yet"/></testcase>
<testcase classname="tests.test_cart" name="test_setup"><error message="no db">trace</error></testcase>
</testsuite></testsuites>"""


def test_junit_has_outcomes_times_and_places() -> None:
    failed, passed, skipped, error = parse_junit(_PYTEST)
    assert [each.outcome for each in (failed, passed, skipped, error)] == ["failed", "passed", "skipped", "error"]
    assert failed.rerun == "tests/test_cart.py::TestCart::test_total[1]"
    assert (failed.file, failed.line, failed.seconds) == ("tests/test_cart.py", 7, 0.5)
    assert "assert 41 == 42" in failed.details
    assert failed.output == "adding up"
    assert passed.seconds == 1000.25
    assert skipped.message == "not yet"
    assert error.rerun == "tests.test_cart.test_setup"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("<testsuite>\n<testcase name='a'>\n</testsuite>", 3, "mismatched tag"),
        ("", 1, "no element found"),
        ("\n\nnot xml", 3, "syntax error"),
        ("<html/>", 1, "root element is <html>"),
        ("<!DOCTYPE a [\n<!ENTITY b 'c'>]><testsuite name='&b;'/>", 2, "entities"),
        ("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><testsuite>&b;</testsuite>", 1, "entities"),
        ("<?xml version='1.0' encoding='utf-37'?>\n<testsuite/>", 1, "encoding"),
        ("<testsuite>" + "<x>" * 100 + "</x>" * 100 + "</testsuite>", 1, "nested"),
    ],
)
def test_broken_junit_names_the_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ReportError, match=words) as caught:
        parse_junit(text.encode())
    assert caught.value.line == line


def test_entities_that_multiply_are_not_expanded() -> None:
    levels = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 10))
    text = f"<!DOCTYPE a [<!ENTITY e0 'x'>{levels}]><testsuite><testcase name='&e9;'/></testsuite>"
    with pytest.raises(ReportError, match="entities"):
        parse_junit(text.encode())


def test_tap_has_directives_subtests_and_diagnostics() -> None:
    text = """TAP version 14
# Subtest: cart
    ok 1 - is empty
    not ok 2 - has a total
      ---
      message: 'expected 42'
      duration_ms: 12.5
      file: cart.js
      line: 7
      ...
    1..2
not ok 1 - cart
ok 2 - later # SKIP no time
not ok 3 - some day # TODO
# printed
ok 4
1..4
"""
    empty, total, cart, later, todo, unnamed = parse_tap(text.encode())
    assert (empty.suite, empty.name, empty.outcome) == ("cart", "is empty", "passed")
    assert (total.outcome, total.message, total.seconds) == ("failed", "expected 42", 0.0125)
    assert (total.file, total.line) == ("cart.js", 7)
    assert (cart.suite, cart.outcome) == ("", "failed")
    assert (later.outcome, later.message) == ("skipped", "no time")
    assert (todo.outcome, todo.output) == ("skipped", "printed")
    assert unnamed.name == "test 4"


def test_tap_counts_planned_tests_that_did_not_run() -> None:
    *_, missing = parse_tap(b"1..3\nok 1 - a\n")
    assert (missing.outcome, missing.message) == (
        "error",
        "2 of 3 planned tests did not run; the report ends at line 2",
    )


def test_tap_that_bails_out_ends_with_an_error() -> None:
    _, bail = parse_tap(b"1..9\nok 1\nBail out! no database\nnot ok 2")
    assert (bail.outcome, bail.message) == ("error", "no database")


@pytest.mark.parametrize("data", [b"", b"hello\n", b"<testsuite/>"])
def test_other_text_is_no_tap(data: bytes) -> None:
    with pytest.raises(ReportError, match="not a TAP report"):
        parse_tap(data)


def _events(*events: dict[str, object]) -> bytes:
    return b"\n".join(json.dumps(each).encode() for each in events)


def test_gotest_has_failures_with_their_place() -> None:
    package = {"Package": "example.com/shop/cart"}
    data = _events(
        {"Action": "run", "Test": "TestTotal/two", **package},
        {"Action": "output", "Test": "TestTotal/two", "Output": "=== RUN   TestTotal/two\n", **package},
        {"Action": "output", "Test": "TestTotal/two", "Output": "    cart_test.go:12: got 41, want 42\n", **package},
        {"Action": "fail", "Test": "TestTotal/two", "Elapsed": 0.5, **package},
        {"Action": "fail", "Test": "TestTotal", "Elapsed": 0.5, **package},
        {"Action": "pass", "Test": "TestEmpty", "Elapsed": 0, **package},
        {"Action": "fail", "Elapsed": 1, **package},
    )
    two, total, empty = parse_gotest(data)
    assert (two.file, two.line, two.message, two.rerun) == ("cart_test.go", 12, "got 41, want 42", "TestTotal")
    assert (two.suite, two.seconds, two.outcome) == ("example.com/shop/cart", 0.5, "failed")
    assert (total.outcome, empty.outcome) == ("failed", "passed")


def test_gotest_shows_a_package_that_does_not_build_and_a_test_that_did_not_end() -> None:
    data = b"go: downloading x\n" + _events(
        {"Action": "build-output", "ImportPath": "shop/a [shop/a.test]", "Output": "a/a.go:3:1: undefined: x\n"},
        {"Action": "fail", "Package": "shop/a", "Elapsed": 0},
        {"Action": "run", "Package": "shop/b", "Test": "TestSlow"},
        {"Action": "output", "Package": "shop/b", "Test": "TestSlow", "Output": "panic: boom\n"},
    )
    package, slow = parse_gotest(data)
    assert (package.name, package.outcome, package.message) == ("(package)", "error", "undefined: x")
    assert (slow.outcome, slow.details) == ("error", "panic: boom")


def test_other_text_is_no_gotest() -> None:
    with pytest.raises(ReportError, match="no line is an event") as caught:
        parse_gotest(b"\nok  \tshop\t0.1s\n")
    assert caught.value.line == 2


@given(st.binary(max_size=400))
def test_whatever_a_report_holds_it_is_read_or_refused(data: bytes) -> None:
    for parse in (parse_junit, parse_tap, parse_gotest):
        with contextlib.suppress(ReportError):
            assert isinstance(parse(data), list)
