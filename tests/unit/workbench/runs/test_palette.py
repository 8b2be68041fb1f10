"""The palette finds what is meant: by parts of words, by synonyms, and in spite of typing errors."""

from __future__ import annotations

import pytest

from workbench.runs.palette import PaletteItem, is_near, rank

ACTIONS = [
    PaletteItem("action", name, name, detail)
    for name, detail in {
        "This screen: Rerun": "Run all steps again (R)",
        "This screen: Delete": "Delete the run (asks first) (D)",
        "This screen: Shell": "Open a shell in a running step (S)",
        "Details: Artifacts": "The files that the steps stored",
        "Details: YAML": "The pipeline of the run",
        "Details: Environment": "Variables and secrets of the step",
        "Anywhere: Messages": "Show the message history (H)",
        "Anywhere: Quit": "Quit (runs continue) (q)",
        "Log: Find": "Find text in the whole log (/)",
        "Log: Save": "Save the whole log to a file in the downloads folder",
    }.items()
]
OTHERS = [
    PaletteItem("run", "webshop-42", "Run webshop-42", "failed, feature/cart"),
    PaletteItem("step", "part-07", "Step part-07", "of webshop-42"),
    PaletteItem("file", "/p/.c8s.yaml", "File .c8s.yaml", "Edit"),
]


def best(query: str) -> str:
    found = rank(query, [*ACTIONS, *OTHERS], 5)
    return found[0][1].key if found else ""


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("retry", "This screen: Rerun"),
        ("artifact", "Details: Artifacts"),
        ("yaml", "Details: YAML"),
        ("secret", "Details: Environment"),
        ("history", "Anywhere: Messages"),
        ("exit", "Anywhere: Quit"),
        ("search", "Log: Find"),
        ("remove", "This screen: Delete"),
        ("terminal", "This screen: Shell"),
        ("part-07", "part-07"),
        ("webshop", "webshop-42"),
        ("cart", "webshop-42"),
        ("c8s.yaml", "/p/.c8s.yaml"),
    ],
)
def test_words_and_synonyms_are_found(typed: str, meant: str) -> None:
    assert best(typed) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("delte", "This screen: Delete"),
        ("shelll", "This screen: Shell"),
        ("retyr", "This screen: Rerun"),
        ("artefacts", "Details: Artifacts"),
        ("mesages", "Anywhere: Messages"),
        ("webshpo", "webshop-42"),
    ],
)
def test_typing_errors_are_forgiven(typed: str, meant: str) -> None:
    assert best(typed) == meant


def test_every_word_has_to_match() -> None:
    assert best("log save") == "Log: Save"
    assert best("save log") == "Log: Save"
    assert best("save zebra") == ""


def test_letters_in_order_are_found_last() -> None:
    assert best("lgsv") == "Log: Save"
    scores = {item.key: score for score, item in rank("log", ACTIONS, 20)}
    assert scores["Log: Save"] > scores.get("Anywhere: Quit", 0)


def test_unknown_text_finds_nothing() -> None:
    assert rank("qqzzyyxx", [*ACTIONS, *OTHERS], 5) == []


def test_short_words_have_to_be_spelled_right() -> None:
    assert not is_near("log", "lag")
    assert not is_near("long", "shell")


def test_no_more_than_the_limit_is_returned() -> None:
    assert len(rank("e", ACTIONS, 3)) == 3
