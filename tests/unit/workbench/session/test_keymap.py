"""Custom key bindings: valid ones apply, and invalid ones are reported."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.session.keymap import BoundAction, build_keymap

BINDINGS = (
    BoundAction("app.run", ("r",), frozenset({"runs", "text"})),
    BoundAction("app.edit", ("e",), frozenset({"runs", "text"})),
    BoundAction("graph.left", ("left", "h"), frozenset({"graph"})),
    BoundAction("log.next", ("n",), frozenset({"log"})),
    BoundAction("editor.save", ("ctrl+s",), frozenset({"text"}), typing=True),
    BoundAction("cut", ("ctrl+x",), frozenset({"text"}), fixed=True),
)
RESERVED = {"ctrl+c": "copies, always"}


def made(entries: dict[Any, Any]) -> tuple[dict[str, str], tuple[str, ...]]:
    found = build_keymap(entries, BINDINGS, lambda key: key if key != "strg" else None, reserved=RESERVED)
    return dict(found.keys), found.problems


def test_action_accepts_one_or_several_keys() -> None:
    assert made({"app.run": "x", "graph.left": ["b", "f6", "b"]}) == ({"app.run": "x", "graph.left": "b,f6"}, ())


def test_two_actions_can_swap_their_keys() -> None:
    assert made({"app.run": "e", "app.edit": "r"}) == ({"app.run": "e", "app.edit": "r"}, ())


def test_digit_is_accepted_as_a_key() -> None:
    assert made({"app.run": 5}) == ({"app.run": "5"}, ())


def test_same_key_is_allowed_in_separate_scopes() -> None:
    assert made({"graph.left": "n"}) == ({"graph.left": "n"}, ())


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"app.rum": "x"}, "keys: app.rum: there is no such action; did you mean `app.run`?"),
        ({3: "x"}, "keys: 3: there is no such action"),
        ({"app.run": "strg"}, "keys: app.run: `strg` is not a key"),
        ({"app.run": None}, "keys: app.run: expected a key"),
        ({"app.run": True}, "keys: app.run: expected a key"),
        ({"app.run": []}, "keys: app.run: expected a key"),
        ({"app.run": {"key": "x"}}, "keys: app.run: expected a key"),
        ({"app.run": "ctrl+c"}, "keys: app.run: `ctrl+c` copies, always"),
        ({"app.run": "e"}, "keys: app.run: `e` is the key of `app.edit` there"),
        ({"editor.save": "s"}, "keys: editor.save: `s` is typed as text there"),
        ({"editor.save": "ctrl+x"}, "keys: editor.save: `ctrl+x` is a key of the text field (cut)"),
    ],
)
def test_invalid_entry_is_reported_and_ignored(entries: dict[Any, Any], message: str) -> None:
    keys, problems = made(entries)
    assert keys == {}
    assert len(problems) == 1
    assert problems[0].startswith(message)


def test_first_entry_for_a_key_wins() -> None:
    keys, problems = made({"app.run": "x", "app.edit": "x"})
    assert keys == {"app.run": "x"}
    assert problems == ("keys: app.edit: `x` is the key of `app.run` there; assign another key to that action, too",)


def test_rejected_entry_invalidates_dependent_entries() -> None:
    keys, problems = made({"app.edit": "r", "app.run": "ctrl+c"})
    assert keys == {}
    assert len(problems) == 2


@given(
    st.dictionaries(
        st.sampled_from([bound.id for bound in BINDINGS]) | st.text(max_size=5),
        st.sampled_from(["r", "e", "x", "n", "f6", "ctrl+s", "ctrl+c", "strg"]) | st.none() | st.lists(st.text()),
        max_size=6,
    )
)
def test_no_key_has_two_actions_in_one_scope(entries: dict[Any, Any]) -> None:
    keys, problems = made(entries)
    assert len(keys) + len(problems) == len(entries)
    owners: dict[tuple[str, str], str] = {}
    for bound in (bound for bound in BINDINGS if not bound.fixed):
        for key in keys[bound.id].split(",") if bound.id in keys else bound.keys:
            for place in bound.scopes:
                assert owners.setdefault((place, key), bound.id) == bound.id
