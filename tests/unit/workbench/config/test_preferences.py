"""Preferences in the config file: valid entries apply, and invalid ones are reported."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.client.endpoint import Endpoint
from workbench.config.contexts import remove_context, write_context
from workbench.config.preferences import Preferences, read_preferences


def read(tmp_path: Path, text: str) -> Preferences:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return read_preferences(path)


def test_all_settings_are_read(tmp_path: Path) -> None:
    text = "workbench: {theme: nord, ascii: true, mouse: false, notify: [osc9], keys: {app.run: x}}\ncontexts: []\n"
    assert read(tmp_path, text) == Preferences("nord", ascii=True, mouse=False, notify=("osc9",), keys={"app.run": "x"})


@pytest.mark.parametrize(
    "text", ["", "contexts: []", "workbench:", "workbench: {}", "workbench: {ascii: auto, keys: }"]
)
def test_empty_settings_are_the_defaults(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == Preferences()


def test_missing_file_means_the_defaults(tmp_path: Path) -> None:
    assert read_preferences(tmp_path / "none.yaml") == Preferences()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workbench: {theme: 3, mouse: false}", "theme: must be the name of a theme"),
        ("workbench: {ascii: maybe, mouse: false}", "ascii: must be true, false or auto"),
        ("workbench: {notify: bell, mouse: false}", "notify: must be a list of bell, osc9, osc777, title"),
        ("workbench: {notify: [bel], mouse: false}", "notify: must be a list of bell, osc9, osc777, title"),
        ("workbench: {keys: [a], mouse: false}", "keys: must be a map from actions to keys"),
        ("workbench: {them: nord, mouse: false}", "them: there is no such setting; did you mean `theme`?"),
    ],
)
def test_invalid_entry_is_reported_and_the_rest_applies(tmp_path: Path, text: str, message: str) -> None:
    found = read(tmp_path, text)
    assert found.problems == (message,)
    assert found.mouse is False


@pytest.mark.parametrize("text", ["workbench: [", "workbench: 3", "workbench: [a]", "a: &x [*x]\nworkbench: {{}: {}}"])
def test_invalid_file_is_reported(tmp_path: Path, text: str) -> None:
    assert len(read(tmp_path, text).problems) == 1


def test_unreadable_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "can't be read" in read_preferences(path).problems[0]
    assert "can't be read" in read_preferences(tmp_path).problems[0]


@given(st.text(max_size=80))
def test_any_text_can_be_read(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    read_preferences(path)


def test_writing_a_context_keeps_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("workbench: {theme: nord, keys: {app.run: x}}\n")
    write_context(path, "team", Endpoint("https://c8s.example.org", tmp_path / "token"))
    assert read_preferences(path) == Preferences("nord", keys={"app.run": "x"})
    remove_context(path, "team")
    assert read_preferences(path) == Preferences("nord", keys={"app.run": "x"})
