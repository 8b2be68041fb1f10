"""Files that are no YAML, or none that we read: one problem, at its place, in words; no traceback, no wait."""

from __future__ import annotations

import itertools

import pytest

from controller.pipeline.lint import check_definition, lint
from tests.support.processor_time import takes_at_most
from tests.unit.controller.pipeline.files import GOOD, HEAD, STEP, codes, messages


@pytest.mark.parametrize(
    ("text", "expected", "words"),
    [
        ("", "1:1 error empty-file", "the file is empty"),
        ("# only a comment\n", "1:1 error empty-file", "version, name and steps"),
        ("- name: a\n", "1:1 error not-a-map", "put `steps:` above them"),
        ("just words\n", "1:1 error not-a-map", "this is a single value"),
        ("name: x\n\tsteps: []\n", "2:1 error yaml-tab", "indent with spaces"),
        ("name: x\nsteps: [a\n", "3:1 error yaml-syntax", "a list in [ ] is not closed here"),
        ("name: a: b\n", "1:8 error yaml-syntax", "needs quotes"),
        ('name: "x\n', "2:1 error yaml-syntax", "close the quotes"),
        ("name: @x\n", "1:7 error yaml-syntax", "put the text in quotes"),
        ("steps:\n  - a\n  b: 1\n", "3:3 error yaml-syntax", "entries of a list begin with `- `"),
        ("name: x\n---\nname: y\n", "2:1 error several-documents", "more than one document"),
        ("name: *nope\n", "1:7 error unknown-alias", "nothing before this is named `&nope`"),
        ("name: &a [*a]\n", "1:11 error alias-in-itself", "write that part out"),
        ("name: !secret x\n", "1:7 error yaml-tag", "the tag `!secret` means nothing here"),
        ("name: !!python/object:os.system x\n", "1:7 error yaml-tag", "means nothing here"),
        ("name: x\nkey: a\x00b\n", "2:7 error control-character", "U+0000"),
        ("name: é\x07\n", "1:8 error control-character", "U+0007"),
        (b"name: x\nb: \xff\n", "2:4 error not-utf-8", "byte 12 (0xff) is not UTF-8"),
        ("name: x\n".encode("utf-16"), "1:1 error not-utf-8", "the file is UTF-16"),
        ("name: x\udc80", "1:8 error not-utf-8", "is not UTF-8"),
        (b"a: b\n" * 2_000_000, "1:1 error file-too-large", "10,000,000 bytes; a pipeline may have 1,048,576"),
        ("kind: Deployment\napiVersion: apps/v1\n", "1:1 error not-a-pipeline", "this is a `Deployment` of `apps/v1`"),
    ],
)
def test_broken_file_is_one_diagnostic_with_its_position(text: str | bytes, expected: str, words: str) -> None:
    assert codes(text) == [expected]
    assert words in messages(text)


def _layers(link: str) -> str:
    """Nine layers of anchors, each naming the one before nine times."""
    lines = ["a: &a {x: 1}\n"]
    for before, name in itertools.pairwise("abcdefghij"):
        lines.append(f"{name}: &{name} {link.format(', '.join([f'*{before}'] * 9))}\n")
    return "".join(lines)


def _many_unknown() -> str:
    needs = ", ".join(f"stap-{n}" for n in range(100))
    step = "  - {{name: step-{0}, image: b, commands: [x], dependsOn: [{1}]}}\n"
    return HEAD + "steps:\n" + "".join(step.format(n, needs) for n in range(290))


NUMBERS = ", ".join(map(str, range(300)))
BOMBS = [
    ("a: " + "[" * 400_000, "too-deep"),
    ("a: " + "{a: " * 200_000, "too-deep"),
    ("- " * 400_000, "too-deep"),
    ("? " * 400_000, "too-deep"),
    (_layers("[{}]"), "too-many-values"),
    (_layers("{{<<: [{}]}}"), "too-many-values"),
    (HEAD + "steps:\n" + "  - {name: a, image: b, commands: [x]}\n" * 9_000, "too-many-values"),
    (HEAD + f"maxParallel: {'9' * 900_000}\n" + STEP, "wrong-type"),
    (HEAD + f"timeout: {'9' * 900_000}h\n" + STEP, "wrong-value"),
    (HEAD + f"env: {{A: '{'{{matix.x}}' * 80_000}'}}\n" + STEP, "unknown-variable"),
    (HEAD + f"matrix: {{dimensions: {{a: [{NUMBERS}], b: [{NUMBERS}]}}}}\n" + STEP, "too-many-steps"),
    (HEAD + f"branches: ['{'*a' * 300_000}']\n" + STEP, "wrong-value"),
    (_many_unknown(), "too-many-problems"),
]


@pytest.mark.parametrize(("text", "code"), BOMBS, ids=range(len(BOMBS)))
def test_yaml_bomb_takes_bounded_time(text: str, code: str) -> None:
    with takes_at_most(10):
        assert code in {problem.code for problem in lint(text).diagnostics}


def test_byte_order_mark_and_crlf_are_accepted() -> None:
    assert codes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()) == []


def test_deeply_nested_definition_is_rejected() -> None:
    definition: dict[str, object] = {}
    for _ in range(5_000):
        definition = {"a": definition}
    assert [problem.code for problem in check_definition(definition)] == ["too-deep"]


def test_both_positions_of_a_duplicate_key_are_reported() -> None:
    text = GOOD + "    image: other:1\n"
    assert codes(text) == ["7:5 error duplicate-key"]
    assert "`image` is given twice; the first is on line 5, column 5" in messages(text)


def test_quoted_text_in_messages_is_sanitized() -> None:
    text = HEAD + '"im\\e[31mage\\u202e": 1\n' + STEP
    assert "\\u001b[31mage\\u202e" in messages(text)
    assert not any(
        ord(character) < 32 or character == "\u202e" for p in lint(text).diagnostics for character in p.message
    )


def test_number_of_diagnostics_is_limited() -> None:
    problems = lint(HEAD + "".join(f"field{n}: 1\n" for n in range(5_000)) + STEP).diagnostics
    assert len(problems) <= 200


def test_own_keys_override_merged_ones() -> None:
    text = (
        HEAD + "steps:\n  - &first {name: a, image: 'busybox:1.36', commands: ['true'], timeout: 5m}\n"
        "  - {<<: *first, name: b, timeout: 6m}\n"
    )
    pipeline = lint(text).pipeline
    assert pipeline is not None
    assert pipeline["steps"][1] == {"name": "b", "timeout": "6m", "image": "busybox:1.36", "commands": ["true"]}
