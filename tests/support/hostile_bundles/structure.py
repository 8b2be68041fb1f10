"""Changes of the archive itself: what its headers say, what is in it and around it."""

from __future__ import annotations

from dataclasses import replace

from tests.support.hostile_bundles.archive import Draft, pack, packed_content


def change_headers(draft: Draft) -> None:
    """What the archive says of an entry is not so."""
    at = draft.at()
    lie = draft.random.choice(
        (
            {"said_size": draft.random.choice((0, 1, 2**31, 2**32 - 1))},
            {"said_packed": draft.random.choice((0, 1, 2**32 - 1))},
            {"said_sum": 0},
            {"said_offset": draft.random.choice((0, 1, 10**6, 2**32 - 1))},
            {"flags": 0x1},
            {"flags": 0x8},
            {"flags": 0x800},
            {"flags": 0x40},
            {"flags": 0x2000},
            {"method": draft.random.choice((1, 9, 12, 14, 93, 99, 65535))},
            {"local_name": b"other.json"},
            {"local_name": b""},
            {"extra": b"\x01\x00\x18\x00" + b"\xff" * 24},
            {"extra": b"\x01\x00\x00\x00"},
            {"extra": b"\xff" * 7},
            {"extra": b"\x75\x70\x0a\x00\x01\x00\x00\x00\x00../x"},
            {"packed": b"\xff" * 50},
            {"packed": b""},
        )
    )
    draft.change(at, **lie)


def change_overlap(draft: Draft) -> None:
    """Several entries with the same content, as in a bomb of overlapping files."""
    count = draft.random.choice((2, 500))
    first = draft.entries[0]
    size = len(packed_content(first))
    draft.entries += [
        replace(
            first,
            name=f"logs/{900_000 + n}".encode(),
            said_offset=0,
            packed=b"",
            said_packed=size,
        )
        for n in range(count)
    ]


def change_bomb(draft: Draft) -> None:
    """An entry that expands to a thousand times its size, as it says or more than it says."""
    content = draft.random.choice((b"x", b"\n", b'"', b" ", b"[")) * draft.random.choice((50, 120)) * 1_000_000
    at = draft.at()
    draft.change(at, content=content, packed=None, said_size=draft.random.choice((None, 10, 2**31)))


def change_names(draft: Draft) -> None:
    """Names that no bundle has, or two entries of one name."""
    at = draft.at()
    name = draft.random.choice(
        (
            b"../../x",
            b"/etc/passwd",
            b"logs/../../x",
            b"C:\\x",
            b"run.json\x00.png",
            b"run.json/",
            b"RUN.JSON",
            b"\xff\xfe",
            b"",
            b"x" * 60_000,
            b"logs/000000",
            b"run.json",
            b"logs/00000\xd9\xa1",
            b"bundle.json\n",
            b"con",
            b"logs/",
        )
    )
    if draft.random.random() < 0.5:
        draft.entries.insert(draft.random.randrange(len(draft.entries) + 1), replace(draft.entries[at], name=name))
    else:
        draft.change(at, name=name)


def change_missing(draft: Draft) -> None:
    """Entries are missing."""
    for _ in range(draft.random.choice((1, 1, 3))):
        if len(draft.entries) > 1:
            del draft.entries[draft.at()]


def change_around(draft: Draft) -> None:
    """Something before or behind the archive, or an end that lies."""
    kind = draft.random.choice(("before", "behind", "end", "second"))
    if kind == "before":
        draft.before = draft.random.choice((b"#!/bin/sh\n", b"\x00", b"PK\x03\x04"))
    elif kind == "behind":
        draft.behind = draft.random.choice(
            (b"x", b"\x00" * 30, b"PK\x05\x06" + b"\x00" * 18, b"PK\x06\x07" + b"\x00" * 16)
        )
    elif kind == "end":
        name = draft.random.choice(("here", "entries", "length", "start"))
        draft.end = {name: draft.random.choice((0, 1, 2**16 - 1, 2**32 - 1))}
    else:
        draft.behind = pack(draft.entries[:1])
