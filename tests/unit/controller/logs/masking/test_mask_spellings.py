"""Each escape, reference, layout and invisible character that `docs/masking.md` names, one by one."""

import json
import unicodedata

import pytest

from controller.logs.masking.mask import SecretMasker
from controller.logs.masking.members import secret_members
from controller.logs.masking.patterns import SecretPatterns

SECRET = b"correct-horse-battery-staple"


def masked(values: list[bytes], text: bytes) -> bytes:
    mask = SecretMasker(SecretPatterns(values))
    return mask.feed(text) + mask.flush()


_UNSEEN = [
    code
    for code in range(0x10000)
    if unicodedata.category(chr(code)) in ("Cc", "Cf") or 0xFE00 <= code <= 0xFE0F or code in (0x034F, 0x2028, 0x2029)
]


@pytest.mark.parametrize("form", ["\\u{:04x}", "\\u{:04X}", "\\U{:08x}", "\\u{{{:x}}}"])
def test_escaped_characters_that_a_reader_does_not_see_are_hidden_within(form: str) -> None:
    patterns = SecretPatterns([b"passwordless"])
    for code in _UNSEEN:
        # A reader sees these two, and the others begin a sequence that takes the next character with it.
        if code in (0x09, 0x0A, 0x1B, 0x90, 0x98, 0x9B, 0x9D, 0x9E, 0x9F):
            continue
        mask = SecretMasker(patterns)
        text = f"<pass{form.format(code)}wordless>\n".encode()
        assert mask.feed(text) + mask.flush() == b"<***>\n", hex(code)


def test_members_of_members_are_bounded_in_number() -> None:
    lists = [json.dumps([f"member-{number}-{n:06d}" for n in range(150)]) for number in range(3)]
    assert len(secret_members(json.dumps(lists).encode())) == 200


_XXD = (
    "00000000: 636f 7272 6563 742d 686f 7273 652d 6261  correct-horse-ba\n"
    "00000010: 7474 6572 792d 7374 6170 6c65            ttery-staple"
)
_CANONICAL = (
    "00000000  63 6f 72 72 65 63 74 2d  68 6f 72 73 65 2d 62 61  |correct-horse-ba|\n"
    "00000010  74 74 65 72 79 2d 73 74  61 70 6c 65              |ttery-staple|"
)


@pytest.mark.parametrize("indent", ["", "  ", "\t", "\t  "])
@pytest.mark.parametrize("dump", [_XXD, _XXD.upper().replace("CORRECT-HORSE-BA", "correct-horse-ba"), _CANONICAL])
def test_an_indented_dump_is_hidden_with_both_of_its_columns(dump: str, indent: str) -> None:
    lines = [indent + line for line in dump.split("\n")]
    out = masked([SECRET], "\n".join(lines).encode()).decode()
    for line in out.split("\n"):
        offset, _, rest = line.strip().partition(" ")
        assert offset.rstrip(":").isdigit()
        assert rest.strip(" |").replace("|", " ").split() == ["***", "***"], line


@pytest.mark.parametrize(
    ("letter", "code"),
    [("a", 7), ("b", 8), ("t", 9), ("n", 10), ("v", 11), ("f", 12), ("r", 13), ("e", 27), ("E", 27)],
)
def test_each_letter_that_escapes_a_control_character_is_known(letter: str, code: int) -> None:
    value = b"password" + bytes([code]) + b"12345678"
    assert masked([value], f"<password\\{letter}12345678>\n".encode()) == b"<***>\n"


@pytest.mark.parametrize(
    ("written", "char"),
    [("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&#228;", "ä"), ("&#XE4;", "ä")],
)
def test_each_named_and_numeric_reference_is_known(written: str, char: str) -> None:
    assert masked([f"pass{char}word".encode()], f"[pass{written}word]\n".encode()) == b"[***]\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"pass\x01word", b"pass^Aword"),
        (b"pass\x7fword", b"pass^?word"),
        ("pässword".encode(), b"pM-CM-$ssword"),
        (b"pass\x89word", b"passM-^Iword"),
        (b"pass\x9fword", b"passM-^_word"),
    ],
)
def test_a_value_is_hidden_as_cat_shows_it(value: bytes, shown: bytes) -> None:
    assert masked([value], b"<" + shown + b">\n") == b"<***>\n"


_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw"


@pytest.mark.parametrize(
    ("secret", "member"),
    [
        ("A=1\nTOKEN=abcdefgh1234\n", "abcdefgh1234"),
        ("A=1\n\texport\tTOKEN = 'abcdefgh 1234' \t\n", "abcdefgh 1234"),
        ('A=1\n  MY.TOKEN_2= "abcdefgh 1234"', "abcdefgh 1234"),
        (
            f"-----BEGIN RSA KEY-----\nProc-Type: 4,ENCRYPTED\n\n{_BODY}\n{_BODY}\n-----END RSA KEY-----",
            _BODY * 2,
        ),
        (f"text before -----BEGIN EC KEY-----\r\n{_BODY}\r\n-----END EC KEY----- and after", _BODY),
        ("- abcdefgh1234\n- other\n", "abcdefgh1234"),
        ('? abcdefgh1234\n: [[{k: [zyxwvuts9876]}]]\n"a key": 1\nb: 2\n', "zyxwvuts9876"),
        ('  ["x", {"k": ["abcdefgh1234"]}]', "abcdefgh1234"),
        (json.dumps(json.dumps({"k": "abcdefgh1234"})), "abcdefgh1234"),
        ("amqp://:abcdefgh1234@host/vhost", "abcdefgh1234"),
        ("see redis://user:abcdefgh1234@host:6379 and ftp://u:zyxwvuts9876@h", "zyxwvuts9876"),
    ],
)
def test_members_are_found_however_the_document_is_written(secret: str, member: str) -> None:
    assert member.encode() in secret_members(secret.encode())
    assert masked([secret.encode()], f"<{member}>\n".encode()) == b"<***>\n"


@pytest.mark.parametrize(
    "secret",
    [
        "A=1\nTOKEN=abcdefg\n",
        "http://host/path",
        "-----BEGIN KEY-----\nabc",
        "a: b: c: d",
        "{not json",
        "[",
        "a b\nc d",
    ],
)
def test_what_is_no_document_has_no_members(secret: str) -> None:
    assert secret_members(secret.encode()) == []


@pytest.mark.parametrize("before", ['""', '"', "''", '\\"', "x "])
def test_a_folded_secret_beside_a_quote_is_hidden_wherever_the_output_is_cut(before: str) -> None:
    patterns = SecretPatterns([b'say "hello world" to all'])
    text = f'{before}say ""hello\n  world"" to all\nend\n'.encode()

    def output(*pieces: bytes) -> bytes:
        mask = SecretMasker(patterns)
        return b"".join([*(mask.feed(piece) for piece in pieces), mask.flush()])

    expected = output(text)
    assert expected.endswith(b"***\n***\nend\n")
    assert {output(text[:cut], text[cut:]) for cut in range(len(text))} == {expected}
