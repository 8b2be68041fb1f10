"""Values that are prompted for."""

from __future__ import annotations

import click
import pytest

from workbench.cli.given_values import read_value
from workbench.text.sanitize import has_hidden_characters


def test_a_prompt_shows_nothing_that_a_terminal_acts_on(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts: list[str] = []

    def prompt(text: str, **_: object) -> str:
        prompts.append(text)
        return "value"

    monkeypatch.setattr(click, "prompt", prompt)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    assert read_value("db\x1b]0;x\x07\u202e/key", 100) == "value"
    assert "db" in prompts[0]
    assert not has_hidden_characters(prompts[0])
