"""Reading files of other systems: values keep their spelling, and hostile files end in an error within bounds."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workbench.importer.source import ImportFileError, Reference, SourceMap, read_documents


def read(text: str) -> object:
    (document,) = read_documents(text.encode())
    return document


def test_scalars_keep_their_spelling() -> None:
    assert read("{on: 3.10, a: yes, b: true, c: , d: ~, e: 0x1, f: 'true', 1: x}") == {
        "on": "3.10",
        "a": "yes",
        "b": True,
        "c": None,
        "d": None,
        "e": "0x1",
        "f": "true",
        "1": "x",
    }


def test_merges_and_aliases_are_resolved_and_own_keys_win() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3}\nc: {<<: [*b, *a], x: 4}\nd: *a\n"
    assert read(text) == {
        "a": {"x": "1", "y": "2"},
        "b": {"y": "3"},
        "c": {"x": "4", "y": "3"},
        "d": {"x": "1", "y": "2"},
    }


def test_lines_of_keys_and_references_are_known() -> None:
    document = read("a: 1\n\nb:\n  c: !reference [.d, script]\n")
    assert isinstance(document, SourceMap)
    assert (document.line("a"), document.line("b"), document["b"].line("c"), document.line("none")) == (1, 3, 4, 0)
    assert isinstance(document["b"]["c"], Reference)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff", "not UTF-8: byte 0"),
        (b"a" * (1024 * 1024 + 1), "larger than 1 MiB"),
        (b"[" * 200_000, "nested more than 60 levels"),
        (b"a: *b", r"line 1: the alias \*b is not defined before"),
        (b"a: &a [*a]", r"the alias \*a is inside of what it names"),
        (b"a: [b: }", "line 1: not YAML"),
        (b"a:\n\t- b", "line 2: not YAML"),
        (b"a: {<<: [b]}", "`<<` takes a map"),
        (b"{[a]: b}", "line 1: a key that is a list"),
        (b"---\n" * 200, "more than 100 documents"),
        (b"- a\n" * 60_000, "more than 50,000 values"),
        (
            b"a: &a [x, x, x, x, x, x, x, x]\n"
            + b"".join(b"%c: &%c [%s]\n" % (c + 1, c + 1, b", ".join([b"*%c" % c] * 8)) for c in range(97, 105)),
            "counting those of aliases",
        ),
        (
            b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [*a%d]\n" % (n, n, n - 1) for n in range(1, 70)),
            "nested more than 60 levels",
        ),
    ],
)
def test_file_that_cannot_be_read_ends_in_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(ImportFileError, match=message):
        read_documents(data)


_VALUE = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029\ufeff\r"), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=12,
)


@given(_VALUE)
def test_documents_read_as_by_the_library(value: object) -> None:
    text = yaml.safe_dump(value, default_style="'", allow_unicode=True)
    assert read_documents(text.encode()) == [value]
