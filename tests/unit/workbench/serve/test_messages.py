"""What pages send is untrusted."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.serve.messages import Focus, Message, Ping, Size, Typed, parse_message, parse_size

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["stdin", "a\\u001b[A"]', Typed("a\x1b[A")),
        ('["resize", {"width": 100, "height": 30}]', Size(100, 30)),
        ('["resize", {"width": 1e9, "height": true}]', Size(80, 24)),
        ('["focus"]', Focus(True)),
        ('["blur"]', Focus(False)),
        ('["ping", "17"]', Ping("17")),
        ('["stdin", 7]', None),
        ('["resize", 7]', None),
        ('["quit"]', None),
        ("[]", None),
        ("{}", None),
        ("[" * 100_000, None),
        ("", None),
    ],
)
def test_messages(text: str, message: Message | None) -> None:
    assert parse_message(text) == message


@given(JSON)
def test_any_json_is_a_message_or_none(value: object) -> None:
    for text in (json.dumps(value), json.dumps(["resize", value]), json.dumps(["stdin", value])):
        found = parse_message(text)
        assert found is None or isinstance(found, (Typed, Size, Focus, Ping))


@given(JSON, JSON)
def test_sizes_stay_within_bounds(width: object, height: object) -> None:
    size = parse_size(width, height)
    assert 10 <= size.width <= 500
    assert 4 <= size.height <= 300


def test_sizes_of_addresses_are_text() -> None:
    assert parse_size("133", "35") == Size(133, 35)
    assert parse_size("²", "99999999999") == Size(80, 24)
