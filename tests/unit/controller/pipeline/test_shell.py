"""Values of a matrix in commands: quoted so that a real shell reads them as text."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.pipeline.shell import Quoting, fill_commands, parse_quoting
from tests.support.processor_time import takes_at_most

SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12)
PLACES = {
    "a word": ("printf '%s\\n' {{matrix.x}}", "{}\n"),
    "part of a word": ("printf '%s\\n' a-{{matrix.x}}.b", "a-{}.b\n"),
    "double quotes": ("printf '%s\\n' \"<{{ matrix.x }}>\"", "<{}>\n"),
    "single quotes": ("printf '%s\\n' '<${{ matrix.x }}>'", "<{}>\n"),
    "a substitution in quotes": ("printf '%s\\n' \"<$(printf %s {{matrix.x}})>\"", "<{}>\n"),
    "quotes in a substitution": ("printf '%s\\n' \"$(printf '%s' \"<{{matrix.x}}>\")\"", "<{}>\n"),
    "after a comment": ("# don't\nprintf '%s\\n' {{matrix.x}} # isn't", "{}\n"),
    "a here-document": ("cat <<END\nit's {{matrix.x}}\nEND", "it's {}\n"),
    "a literal here-document": ("cat <<'END'\n\"{{matrix.x}}\nEND\nprintf '%s\\n' {{matrix.x}}", '"{}\n{}\n'),
    "after arithmetic": ("printf '%s%s\\n' $((1<<2)) {{matrix.x}}", "4{}\n"),
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=8, deadline=None)
@given(value=VALUES)
def test_value_reaches_the_program_as_it_is(shell: str, place: str, value: str) -> None:
    command, printed = PLACES[place]
    [filled] = fill_commands([command], {"x": value})
    ran = subprocess.run([shell, "-e", "-c", filled], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == printed.replace("{}", value)


def test_word_is_inserted_without_quotes() -> None:
    assert fill_commands(["go build -o app-${{ matrix.os }}"], {"os": "linux"}) == ["go build -o app-linux"]


def test_only_values_of_the_matrix_are_filled_in() -> None:
    command = "echo {{run.branch}} {{.Names}} {{matrix.other}}"
    assert fill_commands([command], {"x": "1"}) == [command]


def test_parts_that_the_shell_does_not_read_are_masked() -> None:
    script = parse_quoting("a 'b' \"c\" # d")
    assert script.masked(Quoting.NONE) == "a '_' \"_\" #__"
    assert script.masked(Quoting.NONE, Quoting.DOUBLE) == "a '_' \"c\" #__"


@pytest.mark.parametrize("part", ["'", '"', "$(", "`", "<<A\n", "#", "\\", "(\"$('", "[[ a\n"])
def test_time_is_linear_in_the_length(part: str) -> None:
    with takes_at_most(10):
        fill_commands([part * (500_000 // len(part)) + "{{matrix.x}}"], {"x": "a b"})
