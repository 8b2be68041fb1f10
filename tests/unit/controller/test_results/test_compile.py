"""What is stored of an attempt's tests is bounded, masked, and without control characters."""

import gzip
import json
from typing import Any

import pytest

from controller.test_results import compile as compiling
from controller.test_results.compile import CompiledTests, compile_reports
from controller.test_results.documents import decode_document, failed_tests
from controller.test_results.history import Header, decode_outcomes, encode_outcomes
from controller.test_results.masking import mask_texts


def bundle(*files: tuple[str, str, bytes], problem: str = "") -> bytes:
    """The body of an agent."""
    parts = []
    for path, form, data in files:
        about = {"path": path, "format": form, "size": len(data)} | ({"problem": problem, "size": 0} if problem else {})
        parts.append(json.dumps(about).encode() + b"\n" + (b"" if problem else data))
    return gzip.compress(b"".join(parts))


def suite(*cases: str) -> bytes:
    return f"<testsuite>{''.join(cases)}</testsuite>".encode()


def document(found: CompiledTests) -> dict[str, Any]:
    return decode_document(found.document)


def test_failed_tests_come_first_and_only_they_have_texts() -> None:
    passed = '<testcase classname="a" name="passes"><system-out>noise</system-out></testcase>'
    failed = '<testcase classname="a" name="fails"><failure>a.py:3: AssertionError</failure></testcase>'
    found = compile_reports(bundle(("j.xml", "junit", suite(passed, failed))), ())
    first, second = document(found)["tests"]
    assert (first["name"], first["file"], first["line"]) == ("fails", "a.py", 3)
    assert "output" not in second
    assert found.counts == {"total": 2, "failed": 1, "skipped": 0, "seconds": 0.0, "warnings": 0}


def test_a_broken_file_gives_a_warning_and_the_others_are_read() -> None:
    body = bundle(("a.xml", "junit", b"<testsuite>\n<oops"), ("b.tap", "tap", b"1..1\nok 1 - fine\n"))
    found = compile_reports(body, ())
    assert document(found)["warnings"] == ["a.xml:2: it is not valid XML: unclosed token"]
    assert (found.counts["total"], found.counts["warning"]) == (1, "a.xml:2: it is not valid XML: unclosed token")


def test_what_the_agent_could_not_read_is_a_warning() -> None:
    found = compile_reports(bundle(("*.xml", "junit", b""), problem="no file matches"), ())
    assert document(found)["warnings"] == ["*.xml: no file matches"]


_DAMAGED = {
    "empty": b"",
    "plain": b"plain",
    "no header": gzip.compress(b"{}\n"),
    "no line": gzip.compress(b'{"path":"a"'),
    "cut": bundle()[:-9],
}


@pytest.mark.parametrize("body", _DAMAGED.values(), ids=_DAMAGED)
def test_a_damaged_body_is_no_error(body: bytes) -> None:
    assert compile_reports(body, ()).counts["total"] == 0


def test_secrets_are_masked_in_names_messages_and_warnings_also_when_xml_escapes_them() -> None:
    secret = b"p<ss&word-1"
    case = (
        '<testcase classname="x" name="logs in with p&lt;ss&amp;word-1">'
        '<failure message="p&#60;ss&#38;word-1 refused">line\np&lt;ss&amp;word-1</failure></testcase>'
    )
    body = bundle(("j.xml", "junit", suite(case)), ("p<ss&word-1.tap", "tap", b""))
    found = compile_reports(body, {secret})
    text = json.dumps(document(found)) + json.dumps(found.counts)
    assert "ss&word" not in text
    assert "logs in with ***" in text


def test_a_secret_that_control_characters_hide_is_masked() -> None:
    (text,) = mask_texts(["the pass\x1b[31mword\x1b[0m-42\u200b is"], {b"password-42"})
    assert "word" not in text.replace("***", "")


def test_control_characters_are_removed() -> None:
    (text,) = mask_texts(["a\x1b]0;title\x07b\x1b[2Jc\x00\u202ed\r\ne"], ())
    assert text == "abcd\ne"


def test_endless_texts_are_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "MAX_TEXTS_LENGTH", 100_000)
    case = f'<testcase classname="c" name="n"><failure>{"x" * 300_000}END</failure></testcase>'
    tests = document(compile_reports(bundle(("j.xml", "junit", suite(*[case] * 6))), ()))["tests"]
    assert sum(len(each.get("details", "")) for each in tests) <= 100_000
    assert tests[0]["details"].endswith("END")


def test_more_tests_than_are_listed_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "MAX_TESTS", 3)
    cases = [f'<testcase classname="c" name="n{at}"/>' for at in range(5)]
    cases.append('<testcase classname="c" name="bad"><failure/></testcase>')
    found = compile_reports(bundle(("j.xml", "junit", suite(*cases))), ())
    listed = document(found)
    assert (found.counts["total"], [each["name"] for each in listed["tests"]]) == (6, ["bad", "n0", "n1"])
    assert listed["warnings"] == ["6 tests were counted, 3 are listed"]


def test_the_list_of_failed_tests_names_each_once() -> None:
    case = '<testcase classname="c" name="n"><failure/></testcase>'
    found = compile_reports(bundle(("j.xml", "junit", suite(case, case, '<testcase name="ok"/>'))), ())
    assert failed_tests(document(found)) == [{"rerun": "c.n", "suite": "c", "name": "n"}]
    assert list(
        decode_outcomes(encode_outcomes(Header("r", 1, "u", "s", "s", 1), found.outcomes)).letters.values()
    ) == ["F", "P"]


def test_a_report_without_tests_is_a_warning() -> None:
    found = compile_reports(bundle(("j.xml", "junit", b"<testsuites/>")), ())
    assert document(found)["warnings"] == ["j.xml: it has no tests"]
