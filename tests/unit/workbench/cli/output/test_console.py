"""Documents for people and programs."""

import json
import sys
from io import StringIO

import pytest
import yaml

from workbench.cli.output.console import print_document

HOSTILE = "a\x1b]0;t\x07\x9b31m\u202eevil\u200b\u2066\r\x08\u2028\x7f\ud800 ä日本 \U0001f600\n\t"


class Utf8Output(StringIO):
    encoding = "utf-8"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_no_control_character_is_printed(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    output = Utf8Output()
    monkeypatch.setattr(sys, "stdout", output)
    value = {"name": HOSTILE.replace("\ud800", "") if form == "yaml" else HOSTILE}
    print_document(value, form)
    text = output.getvalue()
    assert text.replace("\n", "").isprintable()
    assert (json.loads(text) if form == "json" else yaml.safe_load(text)) == value


def test_other_characters_are_printed_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    output = Utf8Output()
    monkeypatch.setattr(sys, "stdout", output)
    print_document({"name": "ä日本\U0001f600"}, "json")
    assert "ä日本\U0001f600" in output.getvalue()
