"""What a terminal sends, decoded for the parser of keys."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual._xterm_parser import XTermParser

from workbench.tui.terminal.input_decoder import ESCAPE, InputDecoder

BEGIN, END = "\x1b[200~", "\x1b[201~"


def decode(*parts: bytes) -> list[str]:
    """The parts, as they are read one soon after the other."""
    decoder = InputDecoder(lambda character: character == "a")
    return [*(text for part in parts for text in decoder.decode(part)), *decoder.decode(b"", final=True)]


def messages(*parts: bytes) -> list[str]:
    """What is made of it: names of keys, and the texts of pastes."""
    parser, found = XTermParser(), list[str]()
    for part in decode(*parts):
        if part == ESCAPE:
            found.append("escape")
        else:
            for each in parser.feed(part):
                found.append(each.text if isinstance(each, events.Paste) else getattr(each, "key", ""))
    return found


def test_bytes_that_are_not_utf_8_are_keys_like_others() -> None:
    assert "".join(decode(b"a\xffb\xe9", b"c")) == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"


def test_escape_and_the_key_after_it_are_two_keys() -> None:
    typed = b"\x1br\x1b/x\x1b\r\x1b1\x1bj\x1b\x1b\x1b"
    keys = ["escape", "r", "escape", "slash", "x", "escape", "enter", "escape", "1", "escape", "j"]
    assert messages(typed) == [*keys, "escape", "escape", "escape"]
    assert messages(*(bytes([byte]) for byte in typed)) == [*keys, "escape", "escape", "escape"]


def test_sequences_of_keys_stay_whole() -> None:
    typed = b"\x1b[A\x1bOB\x1b[1;5C\x1b\x1b[A"
    keys = ["up", "down", "ctrl+right", "escape", "up"]
    assert messages(typed) == keys
    assert messages(*(bytes([byte]) for byte in typed)) == keys


def test_key_with_alt_that_has_an_action_stays_one_key() -> None:
    assert decode(b"\x1ba\x1bb") == ["\x1ba", ESCAPE, "b"]


def test_escape_is_the_key_when_nothing_follows() -> None:
    decoder = InputDecoder()
    assert (decoder.decode(b"x\x1b"), decoder.escape_waits) == (["x"], True)
    assert (decoder.end_escape(), decoder.escape_waits) == ([ESCAPE], False)
    assert decoder.end_escape() == []


def test_pasted_sequences_are_not_read_as_keys() -> None:
    pasted = f"{BEGIN}one\x1b[31mred\x1bq\x1b]0;title\x07\x00\ttab\n{END}q"
    assert messages(pasted.encode()) == ["oneredq\ttab\n", "q"]


_PIECES = st.lists(st.sampled_from(["x", "é", "\x1b", "\x1b[", "\x1b[20", "\x1b[31m", "\n", BEGIN, END, END[:4]]))


@given(_PIECES, st.lists(st.integers(0, 120), max_size=8))
def test_the_sizes_of_reads_do_not_matter(pieces: list[str], cuts: list[int]) -> None:
    data = "".join(pieces).encode()
    places = sorted({0, *(min(cut, len(data)) for cut in cuts), len(data)})
    parts = [data[begin:end] for begin, end in pairwise(places)]
    whole = "".join(decode(data))
    # Of a pasted text that has no end, the beginning of a sequence is still kept back.
    assert "".join(decode(*parts)) == whole or (BEGIN in whole and END not in whole[whole.rfind(BEGIN) :])


@given(_PIECES)
def test_pasted_text_has_no_escapes(pieces: list[str]) -> None:
    text = "".join(decode("".join(pieces).encode()))
    begin = text.find(BEGIN)
    if begin >= 0 and END in text[begin:]:
        assert ESCAPE not in text[begin + len(BEGIN) : text.index(END, begin)]
