"""Selectors choose what a real server would choose."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.api.selectors import parse_field_selector, parse_label_selector, parse_selectors
from embedded.api.status_errors import ApiError

_NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True).filter(lambda s: s not in ("in", "notin"))
_LABELS = st.dictionaries(_NAMES, _NAMES, max_size=4)


def _labelled(labels: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "x", "namespace": "ns", "labels": labels}}


def _matches(selector: str, labels: dict[str, str]) -> bool:
    matches = parse_label_selector(selector)
    return matches is None or matches(_labelled(labels))


@pytest.mark.parametrize(
    ("selector", "labels", "chosen"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a in (b, c)", {"a": "c"}, True),
        ("a notin (b)", {}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("a=", {"a": ""}, True),
        ("example.com/a=b,c", {"example.com/a": "b", "c": "d"}, True),
        ("example.com/a=b,c", {"example.com/a": "b"}, False),
    ],
)
def test_label_selectors(selector: str, labels: dict[str, str], chosen: bool) -> None:
    assert _matches(selector, labels) is chosen


@pytest.mark.parametrize("selector", ["a in (", "a in b", "a b", "=b", "a,,b", "a=b,", "in (x)", "!", "a in (b", "(a)"])
def test_invalid_label_selector_is_a_bad_request(selector: str) -> None:
    with pytest.raises(ApiError) as raised:
        parse_label_selector(selector)
    assert raised.value.code == 400


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("a=b,", "found '', expected: identifier after ','"),
        ("a,,b", "found ',', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a=-b", 'unable to parse requirement: values[0][a]: Invalid value: "-b": '),
        ("a!=é", 'unable to parse requirement: values[0][a]: Invalid value: "é": '),
        ("a notin (b,b/c)", 'unable to parse requirement: values[1][a]: Invalid value: "b/c": '),
    ],
)
def test_label_selector_errors_are_those_of_kubernetes(selector: str, why: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_label_selector(selector)
    assert refused.value.message.startswith(why)


@given(_LABELS, _LABELS)
def test_equality_selects_objects_with_all_labels(wanted: dict[str, str], labels: dict[str, str]) -> None:
    selector = ",".join(f"{key}={value}" for key, value in wanted.items())
    assert _matches(selector, labels) is (wanted.items() <= labels.items())


@given(_NAMES, st.sets(_NAMES, min_size=1, max_size=3), _LABELS)
def test_notin_is_the_complement_of_in(key: str, values: set[str], labels: dict[str, str]) -> None:
    listed = ",".join(sorted(values))
    assert _matches(f"{key} in ({listed})", labels) is not _matches(f"{key} notin ({listed})", labels)


@given(st.text('ab=!,()in \t\x00"é./', max_size=20))
def test_any_text_is_a_selector_or_a_bad_request(text: str) -> None:
    code = 0
    try:
        parse_selectors(text, text, "pods")
    except ApiError as error:
        code = error.code
    assert code in (0, 400)


def test_field_selectors_know_the_fields_of_kubernetes() -> None:
    pod = {"metadata": {"name": "p"}, "status": {"phase": "Running"}}
    running = parse_field_selector("status.phase=Running,metadata.name!=q", "pods")
    assert running is not None
    assert running(pod)
    with pytest.raises(ApiError) as raised:
        parse_field_selector("spec.image=x", "pods")
    assert raised.value.code == 400


def _matches_fields(selector: str, name: str = "x") -> bool:
    matches = parse_field_selector(selector, "pods")
    return matches is None or matches({"metadata": {"name": name}})


@pytest.mark.parametrize(
    "selector", ["", ",", "metadata.name=x,", ",metadata.name==x", "metadata.name=x,,metadata.name!=y"]
)
def test_empty_terms_of_a_field_selector_are_skipped(selector: str) -> None:
    assert _matches_fields(selector)
    assert _matches_fields(selector, name="y") is (selector.strip(",") == "")


def test_a_backslash_escapes_in_values_of_a_field_selector() -> None:
    assert _matches_fields(r"metadata.name=a\,b\=c\\", name=r"a,b=c" + "\\")
    assert not _matches_fields(r"metadata.name=a\,b", name="a")


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("  ", "invalid selector: '  '; can't understand '  '"),
        (" metadata.name=x", '" metadata.name" is not a known field selector: only '),
        ("=x", '"" is not a known field selector: only '),
        (r"metadata.name=\x", r"invalid field selector: invalid escape sequence: \x"),
        ("metadata.name=x\\", "invalid field selector: invalid escape sequence: \\"),
        ("metadata.name===x", "invalid field selector: unescaped character in value: 61"),
    ],
)
def test_a_bad_field_selector_is_described_as_a_real_server_does(selector: str, why: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_field_selector(selector, "pods")
    assert refused.value.code == 400
    assert refused.value.message.startswith(why)
