"""The forms in which a secret has been seen in logs."""

import base64
import binascii
import html
import json
import unicodedata
from urllib.parse import quote

import pytest

from controller.logs.masking.control_sequences import strip_controls
from controller.logs.masking.encodings import MAX_ENCODED_BYTES, MAX_MULTILINE_BYTES
from controller.logs.masking.mask import SecretMasker
from controller.logs.masking.members import secret_members
from controller.logs.masking.patterns import SecretPatterns

SECRET = b"correct-horse-battery-staple"
ODD = "a\"b<c>&d'e\\f\u00e4/ü"
KEY = "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\n" * 2 + "-----END PRIVATE KEY-----\n"
ACCOUNT = json.dumps({"private_key_id": "0123456789abcdef0123", "private_key": KEY}, indent=2).encode()


def masked(values: list[bytes], text: bytes) -> bytes:
    mask = SecretMasker(SecretPatterns(values))
    return mask.feed(text) + mask.flush()


@pytest.mark.parametrize(
    "text",
    [
        b"correct-\x1b[01;31m\x1b[Khorse\x1b[m\x1b[K-battery-staple",
        b"correct-\x1b]8;;http://x\x07horse\x1b]8;;\x1b\\-battery-staple",
        b"correct-\x1bP1$r\x1b\\horse-battery-staple",
        "cor\u200brect-ho\u2060rse-bat\u00adtery\ufeff-staple".encode(),
        "correct-\u009b31mhorse-battery-staple".encode(),
        b"correct-ho\rrse-battery-staple",
        b"correct-hox\brse-battery-staple",
        b"correct-horse-bxxxxxx-staple\rcorrect-horse-battery",
    ],
)
def test_a_secret_with_control_sequences_within_is_hidden(text: bytes) -> None:
    assert masked([SECRET], text + b"\n") == b"***\n"


@pytest.mark.parametrize("width", [10, 20, 64, 76])
@pytest.mark.parametrize("indent", [b"", b"    "])
def test_base64_in_lines_of_any_length_is_hidden(width: int, indent: bytes) -> None:
    encoded = base64.b64encode(SECRET * 4)
    lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]
    out = masked([SECRET * 4], b"data:\n" + b"".join(indent + line + b"\n" for line in lines) + b"end\n")
    assert out == b"data:\n" + indent + b"***\n" * len(lines) + b"end\n"


def test_base64_that_begins_at_the_end_of_a_line_is_hidden() -> None:
    encoded = base64.b64encode(b"x" * 44 + SECRET)
    assert masked([SECRET], encoded[:64] + b"\n" + encoded[64:] + b"\n").endswith(b"***\n***\n")


@pytest.mark.parametrize(
    "text",
    [
        html.escape(ODD),
        html.escape(ODD, quote=False),
        json.dumps(json.dumps(ODD)),
        json.dumps(json.dumps(ODD, ensure_ascii=False), ensure_ascii=False),
        quote(quote(ODD)),
        repr(ODD),
        repr(ODD.encode()),
        ascii(ODD),
        "$'a\"b<c>&d\\'e\\\\f\\303\\244/\\303\\274'",
        "".join(f"\\x{byte:02x}" for byte in ODD.encode()),
        "".join(f"\\{byte:03o}" for byte in ODD.encode()),
        ODD.encode().hex(),
        ODD.encode().hex().upper(),
        base64.urlsafe_b64encode(ODD.encode()).decode(),
    ],
)
def test_a_secret_in_another_notation_is_hidden(text: str) -> None:
    out = masked([ODD.encode()], text.encode()).replace(b"***", b"")
    assert out.strip(b"b\"'$\\") == b"", out


@pytest.mark.parametrize(
    "text",
    [
        repr("é\xa0pass日×9"),
        repr(repr("é\xa0pass日×9")),
        ascii(repr("é\xa0pass日×9")),
        ascii("é&#160;pass&#x65e5;×9"),
        "é\\240pass日\\3279",
        "q=%C3%A9%5Cxa0pass%E6%97%A5%C3%979",
    ],
)
def test_characters_of_a_secret_may_be_escaped_by_their_number_beside_others_that_are_not(text: str) -> None:
    out = masked(["é\xa0pass日×9".encode()], text.encode())
    assert out.strip(b"'\"q=") == b"***", out


def test_a_hexadecimal_dump_is_hidden() -> None:
    digits = binascii.hexlify(SECRET, " ").decode().split()
    dump = "\n".join(" ".join(digits[at : at + 16]) for at in range(0, len(digits), 16))
    assert masked([SECRET], dump.encode()) == b"***\n***"


def test_members_of_a_json_secret_are_hidden() -> None:
    out = masked([ACCOUNT], f"id 0123456789abcdef0123\n{KEY}{json.dumps(KEY)}\n".encode())
    assert out == b"id ***\n" + b"***\n" * 4 + b'"***\\n"\n'


@pytest.mark.parametrize(
    ("secret", "member"),
    [
        (b"users:\n- name: x\n  user:\n    token: abcdefgh12345678\n", b"abcdefgh12345678"),
        (b"export A=1\nTOKEN='abcdefgh 12345678'\n", b"abcdefgh 12345678"),
        (b"postgres://app:hunter2222@db/main", b"hunter2222"),
        (KEY.encode(), b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw" * 2),
        (json.dumps({"inner": json.dumps({"token": "abcdefgh12345678"})}).encode(), b"abcdefgh12345678"),
    ],
)
def test_members_are_found(secret: bytes, member: bytes) -> None:
    assert member in secret_members(secret)


def test_aliases_of_a_yaml_secret_cost_little() -> None:
    lines = ["a0: &a0 [lollollol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    assert secret_members("\n".join(lines).encode()) == [b"lollollol"]


def test_members_are_bounded_in_number() -> None:
    assert len(secret_members(json.dumps([f"member-{n:06d}" for n in range(5_000)]).encode())) == 200


def test_short_lines_of_a_very_long_value_are_not_hidden() -> None:
    value = b"\n".join(b"%07d" % number for number in range(MAX_MULTILINE_BYTES // 8 + 1))
    assert masked([value], b"0000001\n") == b"0000001\n"


def test_a_sequence_without_end_is_not_held_back_for_ever() -> None:
    patterns = SecretPatterns([SECRET])
    mask = SecretMasker(patterns)
    out = b"".join(mask.feed(b"correct-" + b"\x1b[m" * 20_000) for _ in range(10))
    assert len(out) > 400_000


def test_every_format_character_is_ignored() -> None:
    ignored = {chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Cf")} - {"\n", "\t"}
    assert strip_controls("".join(sorted(ignored)).encode()) == b""
    assert strip_controls("ä ✓ 日本語 😀 é\t\n".encode()) == "ä ✓ 日本語 😀 é\t\n".encode()


def test_a_folded_binary_secret_is_hidden() -> None:
    assert masked([b"\x05abc\x06def 0123456789"], b"x \x05abc\x06def\n  0123456789 y\n") == b"x ***\n*** y\n"


@pytest.mark.parametrize("written", [b"\x05it''s-a-secret", b"\\x05it''s-a-secret", b"\x05it\\x27s-a-secret"])
def test_control_characters_of_an_escaped_secret_are_hidden(written: bytes) -> None:
    assert masked([b"\x05it's-a-secret"], b"<" + written + b">\n") == b"<***>\n"


def test_a_secret_with_blanks_escaped_in_two_ways_is_hidden_in_a_form() -> None:
    assert masked([b"two blanks in a secret"], b"q=two%5Cx20blanks+in%5cx20a+secret&x\n") == b"q=***&x\n"


def test_every_secret_of_a_long_block_is_hidden() -> None:
    """Only the surroundings of what may be a secret are searched."""
    words = [b"secret-one", b"0a1b2c3d4e5f60718293", b"x"]
    lines = [b"%d %s %s" % (n, words[n % 3], base64.b64encode(words[n % 2] * 2)) for n in range(3000)]
    out = masked(words[:2], b"\n".join(lines))
    assert not any(each in out for each in (words[0], words[1], *(base64.b64encode(w * 2) for w in words[:2])))
    assert out.count(b"\n") == 2999


def test_a_written_line_break_is_not_cut_within() -> None:
    patterns = SecretPatterns([b"TOKEN=xg6MlcjCwHbY6j1d8TEo8qWerCWa0AKQ1\nPASS=yiflMtHLo4EDN9Xaf83Q1\n"])
    lines = (b"0JbQltCW", b"0JbQlnhn", b"Nk1sY2pD", b"d0hiWTZq", b"MWQ4VEVv", b"OHFXZXJD", b"V2EwQUtR", b"MdCW0JY<")
    before, text = b"x" * 17_000 + b" =", b"\\r\\n".join(lines)

    def output(*pieces: bytes) -> bytes:
        mask = SecretMasker(patterns)
        return b"".join([*(mask.feed(piece) for piece in pieces), mask.flush()])

    expected = output(before + text)
    assert expected.endswith(b"0JbQlnhn\\r\\n***dCW0JY<")
    assert {output(before, text[:cut], text[cut:]) for cut in range(len(text))} == {expected}


def test_an_indented_line_of_an_encoded_secret_is_hidden_wherever_the_output_is_cut() -> None:
    """The head of one character is on the line before, where it stays."""
    patterns = SecretPatterns([b"M[EWnme|<"])
    text = b"  CW0JbQltCWT\n  VtFV25tZXw8\n"
    for cut in range(len(text)):
        mask = SecretMasker(patterns)
        assert mask.feed(text[:cut]) + mask.feed(text[cut:]) + mask.flush() == b"  CW0JbQltCWT\n  ***\n", cut


@pytest.mark.parametrize("width", [64, 76])
def test_base64_of_a_very_long_value_is_hidden_in_lines_as_programs_break_them(width: int) -> None:
    value = bytes(number * 7 % 251 for number in range(MAX_ENCODED_BYTES + 100))
    encoded = base64.b64encode(value)
    lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]
    assert masked([value], b"\n".join(lines)) == b"\n".join([b"***"] * len(lines))
    assert masked([value], b"x " + encoded + b" y") == b"x *** y"


@pytest.mark.parametrize(
    "text", [b"password-1", b"pass\x05word-1", b"pa\x1b[31mss\x05wo\x1b[0mrd-1", b"pass\\x05word-1"]
)
def test_control_characters_of_a_secret_need_not_be_printed(text: bytes) -> None:
    assert masked([b"pass\x05word-1"], b"<" + text + b">\n") == b"<***>\n"


def test_a_folded_secret_whose_control_characters_are_not_printed_is_hidden() -> None:
    assert masked([b"\x05abc\x06def 0123456789"], b"x abcdef\n  0123456789 y\n") == b"x ***\n*** y\n"


def test_a_long_word_that_is_broken_into_lines_is_hidden() -> None:
    value = b"dckr_pat_abcdefghijklmnopqrstuv"
    assert masked([value], b"x " + value[:12] + b"\n  " + value[12:] + b" y\n") == b"x ***\n*** y\n"


@pytest.mark.parametrize("size", range(8, 15))
def test_base64_of_base64_is_hidden_with_its_padding(size: int) -> None:
    value = SECRET[:size]
    once = base64.b64encode(value)
    assert masked([value], b"<" + base64.b64encode(once) + b">\n") == b"<***>\n"
    assert masked([value], b"<" + base64.b64encode(once).rstrip(b"=") + b">\n") == b"<***>\n"
    # Its padding tells nothing. Of the base64 of a line, what depends on the line break stays.
    assert masked([value], base64.b64encode(once.rstrip(b"="))).rstrip(b"=") == b"***"
    assert masked([value], base64.b64encode(once + b"\n"))[:3] == b"***"


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_secret_is_hidden_in_the_other_form_of_unicode(forms: tuple[str, str]) -> None:
    stored, printed = (unicodedata.normalize(form, "clé-très-sûre") for form in forms)
    assert stored != printed
    assert masked([stored.encode()], f"<{printed}>\n".encode()) == b"<***>\n"


@pytest.mark.parametrize("charset", ["latin-1", "utf-16-le", "utf-16-be"])
def test_a_secret_is_hidden_in_other_charsets(charset: str) -> None:
    for value in ("clé-très-sûre", "clé-日本-sûre"):
        printed = value.encode(charset, "ignore")
        if printed.decode(charset) == value:
            out = masked([value.encode()], b"<" + printed + b">\n")
            assert out.replace(b"\0", b"") == b"<***>\n"


@pytest.mark.parametrize("is_ascii", [True, False])
def test_a_secret_in_base64_of_a_json_document_is_hidden(is_ascii: bool) -> None:
    value = 'clé-"très"-sûre'
    text = base64.b64encode(json.dumps({"x": value}, ensure_ascii=is_ascii).encode())
    inner = base64.b64encode(json.dumps(value, ensure_ascii=is_ascii)[1:-1].encode())
    assert masked([value.encode()], b"<" + inner + b">\n") == b"<***>\n"
    # Of what is around it, up to two characters also depend on the value.
    assert len(masked([value.encode()], text)) <= len(b"***") + 14


def test_a_secret_in_a_mixture_of_charsets_is_hidden() -> None:
    assert masked(["é日x-secret".encode()], b"<\xe9" + "日x-secret>\n".encode()) == b"<***>\n"


@pytest.mark.parametrize("text", [b"pass word-1/\xc3\xa4", b"pass%20word-1%2f\\u00e4"])
def test_a_secret_that_has_escapes_is_hidden_without_them(text: bytes) -> None:
    assert masked([b"pass%20word-1%2f\\u00e4"], b"<" + text + b">\n") == b"<***>\n"


@pytest.mark.parametrize("size", range(8, 15))
def test_base64_is_hidden_with_and_without_its_padding(size: int) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(SECRET[:size])
        for each in (text, text.rstrip(b"=")):
            assert masked([SECRET[:size]], b"<" + each + b">\n") == b"<***>\n"


@pytest.mark.parametrize(
    "written", [b'say\n  ""hello world"" to all', b'say\n  \\"hello world\\" to all', b'say ""hello\n  world"" to all']
)
def test_a_folded_secret_that_has_escapes_is_hidden(written: bytes) -> None:
    assert masked([b'say "hello world" to all'], b"<" + written + b">\n") == b"<***\n***>\n"


@pytest.mark.parametrize(
    "written", ["pa\\U00000073sword-1", "pa\\u{73}sword-1", "pa\\163sword-1", "\\160\\141ssword-1"]
)
def test_a_secret_with_a_numeric_escape_is_hidden(written: str) -> None:
    assert masked([b"password-1"], f"<{written}>\n".encode()) == b"<***>\n"


def test_a_binary_member_of_a_document_is_hidden() -> None:
    document = b"kind: Secret\ndata:\n  token: !!binary " + base64.b64encode(b"correct-horse\xff") + b"\n"
    assert masked([document], b"<correct-horse\xff>\n") == b"<***>\n"


@pytest.mark.parametrize(
    "written",
    [
        "s'\\''t\"u😀v&w-secret",
        "s'\"'\"'t\"u😀v&w-secret",
        "s''t\"u😀v&w-secret",
        's\'t""u😀v&w-secret',
        "s't\\\"u\\ud83d\\ude00v&w-secret",
        "s't\\x22u\\U0001f600v&w-secret",
        "s't\\42u\\u{1f600}v&w-secret",
        "s\\047t\\u0022u\\360\\237\\230\\200v\\46w-secret",
        "s&#39;t&quot;u&#x1F600;v&amp;w-secret",
        "s%27t%22u%F0%9f%98%80v%26w-secret",
        "s\\'t\\\\\\\"u😀v&w-secret",
    ],
)
def test_an_escaped_secret_is_hidden_wherever_a_long_line_is_cut(written: str) -> None:
    patterns = SecretPatterns(["s't\"u😀v&w-secret".encode()])
    before, text = b"x" * 17_000 + b" ", written.encode()

    def output(*pieces: bytes) -> bytes:
        mask = SecretMasker(patterns)
        return b"".join([*(mask.feed(piece) for piece in pieces), mask.flush()])

    assert {output(before, text[:cut], text[cut:]) for cut in range(len(text))} == {before + b"***"}


def test_a_text_that_is_continued_after_a_backslash_is_hidden() -> None:
    assert masked([b"abcdef ghijkl"], b'"abcdef\\\n  \\ ghijkl"\n') == b'"***\n***"\n'


def test_bytes_that_are_no_text_are_hidden_as_python_writes_them() -> None:
    value = b"caf\xe9-secret\xff\x05"
    assert masked([value], ascii(value.decode("utf-8", "surrogateescape")).encode()) == b"'***'"
    assert masked([value], b"<caf\\351-secret\\377\\5>") == b"<***>"
