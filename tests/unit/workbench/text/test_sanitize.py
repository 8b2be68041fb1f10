"""Sanitized lines hold only printable text and colours."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.processor_time import takes_at_most
from workbench.text.sanitize import LIMIT, PLAIN, Segment, Style, sanitize_label, sanitize_line, segments, truncate
from workbench.text.width import cell_width

_SGR = re.compile(r"\x1b\[[0-9;]*m")
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u061c\ud800-\udfff\U000e0020-\U000e007f]"
)

_hostile = st.lists(
    st.sampled_from(
        [
            "\x1b",
            "[",
            "]",
            "\x9b",
            "\x9d",
            "\x90",
            "\x9c",
            "\x07",
            "\\",
            "\r",
            "\t",
            "\n",
            "31m",
            "1;4m",
            "2J",
            "52;c;aGk=",
            "8;;http://x",
            "\u202e",
            "\u2066",
            "P",
            "_",
            "^",
            "38;5;300m",
            "?25l",
            ">4;1m",
            "é",
            "漢",
            "a b",
        ]
    )
    | st.text(max_size=6),
    max_size=30,
).map("".join)


@given(_hostile)
def test_coloured_output_holds_only_colour_sequences(line: str) -> None:
    assert not _FORBIDDEN.search(_SGR.sub("", sanitize_line(line, colour=True)))


@given(_hostile)
def test_plain_output_holds_no_control_characters(line: str) -> None:
    assert not _FORBIDDEN.search(sanitize_line(line, colour=False))


@given(_hostile)
def test_colours_are_reset_at_the_end_of_a_line(line: str) -> None:
    found = _SGR.findall(sanitize_line(line, colour=True))
    assert not found or found[-1] == "\x1b[0m"


@given(_hostile)
def test_colour_does_not_change_the_text(line: str) -> None:
    assert _SGR.sub("", sanitize_line(line, colour=True)) == sanitize_line(line, colour=False)


@given(_hostile, st.booleans())
def test_sanitizing_is_idempotent(line: str, colour: bool) -> None:
    once = sanitize_line(line, colour=colour)
    assert sanitize_line(once, colour=colour) == once


@given(_hostile, st.integers(1, 20))
def test_the_limit_holds(line: str, limit: int) -> None:
    assert len(sanitize_line(line, colour=False, limit=limit)) <= limit


@given(st.text(), st.integers(0, 30))
def test_a_label_fits_its_columns(text: str, cells: int) -> None:
    assert cell_width(sanitize_label(text, cells)) <= cells


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain", "plain"),
        ("\x1b]52;c;cHduZWQ=\x07copied", "copied"),
        ("\x1b]2;title\x1b\\renamed", "renamed"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$r0m\x1b\\answer", "answer"),
        ("\x9b31mred", "red"),
        ("\x9d2;title\x9crenamed", "renamed"),
        ("\x1b[2J\x1b[Hcleared", "cleared"),
        ("\x1b[?1049h\x1b[>4;1mmodes", "modes"),
        ("\x1b(0\x1b7\x1bcreset", "reset"),
        ("ring\x07", "ring"),
        ("never closed \x1b]0;seen", "never closed 0;seen"),
        ("nul\x00byte", "nul␀byte"),
        ("alone \x1b", "alone ␛"),
        ("admin\u202etxt.exe", "admintxt.exe"),
        ("a\u2028b", "a b"),
        ("\ud800", "\ufffd"),
        ("a\tb", "a       b"),
        ("windows\r\n", "windows"),
        ("10%\r 50%\r100%", "100%"),
        ("done\r\x1b[K", "done"),
        ("e" + "\u0301" * 40, "e" + "\u0301" * 3),
    ],
)
def test_control_sequences_are_removed_or_replaced(line: str, shown: str) -> None:
    assert sanitize_line(line.removesuffix("\n"), colour=False) == shown


def test_colours_are_kept_on_request_and_reset() -> None:
    assert sanitize_line("\x1b[1;31mred", colour=True) == "\x1b[0;1;31mred\x1b[0m"
    assert sanitize_line("\x1b[1;31mred", colour=False) == "red"


def test_colour_persists_across_a_carriage_return() -> None:
    assert segments("\x1b[32mold\rnew") == [Segment("new", Style(foreground=2))]


@pytest.mark.parametrize(
    ("codes", "style"),
    [
        ("", PLAIN),
        ("1", Style(bold=True)),
        ("1;22", PLAIN),
        ("4:3", Style(underline=True)),
        ("4:3;4:0", PLAIN),
        ("94;103", Style(foreground=12, background=11)),
        ("38;5;208", Style(foreground=208)),
        ("38;2;1;2;3;1", Style(foreground=(1, 2, 3), bold=True)),
        ("48:2::1:2:3", Style(background=(1, 2, 3))),
        ("38;5;300", PLAIN),
        ("38;2;1", PLAIN),
        ("8", PLAIN),
        ("31;39", PLAIN),
        ("999999999999999999", PLAIN),
    ],
)
def test_all_colour_notations_are_parsed(codes: str, style: Style) -> None:
    assert segments(f"\x1b[{codes}mx") == [Segment("x", style)]


def test_long_line_is_truncated_with_an_ellipsis() -> None:
    shown = segments("x" * (LIMIT + 10))
    assert shown == [Segment("x" * (LIMIT - 1) + "…", PLAIN)]


def test_end_of_a_long_progress_bar_is_shown() -> None:
    line = "".join(f"\r{n}%" for n in range(100_000))
    assert sanitize_line(line, colour=False) == "99999%"


def test_truncation_counts_columns() -> None:
    assert truncate("漢字漢字", 5) == "漢字…"
    assert sanitize_label("two\nlines", 20) == "two lines"


def test_hostile_megabyte_is_sanitized_quickly() -> None:
    with takes_at_most(10):
        sanitize_line("\x1b]" * 500_000, colour=True)
        sanitize_line("\x1b[" + "0;" * 500_000, colour=True)
        sanitize_line("\x9b\x9d" * 500_000, colour=True, limit=None)
