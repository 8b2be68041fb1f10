"""Changes of what a bundle says: its documents, logs and artifacts."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from tests.support.bundles import moment, replaced, value_paths
from tests.support.hostile_bundles.archive import Draft
from tests.support.hostile_bundles.values import HOSTILE_TEXTS, HOSTILE_VALUES, RAW_JSON


def change_value(draft: Draft) -> None:
    """Another value at any place of any document."""
    at = draft.at(suffix=".json") if draft.random.random() < 0.4 else draft.named("run.json")
    try:
        document = json.loads(draft.entries[at].content)
    except (ValueError, RecursionError):
        return
    for _ in range(draft.random.choice((1, 1, 2, 5))):
        path = draft.random.choice(value_paths(document))
        document = replaced(document, path, draft.random.choice(HOSTILE_VALUES))
    draft.change(at, content=json.dumps(document).encode())


def change_key(draft: Draft) -> None:
    """A key that is missing, is there twice, or has another name."""
    at = draft.at(suffix=".json")
    try:
        document = json.loads(draft.entries[at].content)
    except (ValueError, RecursionError):
        return
    inner = [path for path in value_paths(document) if path and isinstance(path[-1], str)]
    if not inner:
        return
    path = draft.random.choice(inner)
    text = json.dumps(document)
    if draft.random.random() < 0.5:
        holder: Any = document
        for part in path[:-1]:
            holder = holder[part]
        value = holder.pop(path[-1])
        if draft.random.random() < 0.5:
            holder[draft.random.choice(HOSTILE_TEXTS)] = value
        text = json.dumps(document)
    else:
        text = text.replace(f'"{path[-1]}":', f'"{path[-1]}": 1, "{path[-1]}":', 1)
    draft.change(at, content=text.encode(errors="surrogatepass"))


def change_steps(draft: Draft) -> None:
    """Many steps or attempts, chains of dependencies, steps that depend on what is not there."""
    at = draft.named("run.json")
    try:
        document = json.loads(draft.entries[at].content)
        steps = document["status"]["steps"]
        one = dict(draft.random.choice(steps))
        count = draft.random.choice((20, 300, 500, 501))
        kind = draft.random.choice(("chain", "star", "layers", "attempts", "missing", "names"))
        if kind == "attempts":
            one["attempts"] = [
                {**one["attempts"][0], "number": n} for n in range(draft.random.choice((50, 4_000, 6_000)))
            ]
            steps[:] = [one]
        else:
            names = [f"s{n}" if kind != "names" else "x" * 250 + f"\u202e{n}" for n in range(count)]
            needs = {
                "chain": lambda n: names[max(n - 1, 0) : n],
                "star": lambda n: names[:1] if n else [],
                "layers": lambda n: names[max(n - 60, 0) : n - n % 30] if n >= 30 else [],
                "missing": lambda n: [f"gone{n}", f"s{n + 1}" if n % 2 else "s0"][: 1 + (n > 0)],
                "names": lambda n: [],
            }[kind]
            steps[:] = [
                {**one, "name": name, "slug": f"slug{n}", "dependsOn": needs(n)} for n, name in enumerate(names)
            ]
    except (ValueError, RecursionError, KeyError, TypeError, IndexError):
        return
    draft.change(at, content=json.dumps(document).encode())


def change_document(draft: Draft) -> None:
    """Something else in place of a document."""
    draft.change(draft.at(suffix=".json"), content=draft.random.choice(RAW_JSON))


def change_manifest(draft: Draft) -> None:
    """Another version, format, or size in `bundle.json`; entries that are missing or belong to several logs."""
    at = draft.named("bundle.json")
    try:
        document = json.loads(draft.entries[at].content)
        kind = draft.random.choice(("version", "format", "sizes", "entries", "many", "names"))
        chunks = [chunk for log in document["logs"] for chunk in log["chunks"]]
        if kind == "version":
            document["version"] = draft.random.choice((0, 1, 2, 3, -1, 2**40, "1", 1.0, True, None, [1]))
        elif kind == "format":
            document["format"] = draft.random.choice(HOSTILE_VALUES)
        elif kind == "sizes":
            chunk = draft.random.choice(chunks)
            chunk[draft.random.choice(("bytes", "lines"))] = draft.random.choice((0, 1, 2**24, 2**24 + 1, 2**40, -1))
        elif kind == "entries":
            draft.random.choice(chunks)["entry"] = draft.random.choice(
                ("logs/000000", "logs/999999", "files/000000", "bundle.json", "../x", "logs/1")
            )
        elif kind == "many":
            document["logs"] = document["logs"][:20] * draft.random.choice((2, 2_000))
        else:
            log = draft.random.choice(document["logs"])
            log[draft.random.choice(("step", "container"))] = draft.random.choice(HOSTILE_TEXTS)
    except (ValueError, RecursionError, KeyError, TypeError, IndexError):
        return
    draft.change(at, content=json.dumps(document).encode())


_LINES: tuple[Callable[[Random], bytes], ...] = (
    lambda random: b"",
    lambda random: b"\n" * random.choice((200_000, 900_000, 16_000_000)),
    lambda random: b"x" * 3_000_000,
    lambda random: moment(9).encode() + b" " + b"y" * 2_000_000 + b"\n",
    lambda random: moment(9).encode() + b" no newline",
    lambda random: b"no time at all\n" * 1000,
    lambda random: random.randbytes(50_000),
    lambda random: b"\x00" * 100_000,
    lambda random: b"".join(f"{moment(n % 60)} ".encode() + b"\x1b[31m" * 300 + b"\n" for n in range(60)),
    lambda random: b"9999-12-31T23:59:59Z late\n0001-01-01T00:00:00Z early\nnever ever\n" * 50,
    lambda random: f"{moment(5)} ".encode() + b"\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf \xff\n",
    lambda random: b"".join(f"{moment(5)} {text}\n".encode(errors="surrogatepass") for text in HOSTILE_TEXTS),
    lambda random: f"{moment(5)} ::group::{'x' * 300}\n".encode() * 3_000,
    lambda random: f"{moment(5)} a\r\n{moment(5)} b\r{moment(6)} c\n".encode() * 100,
)


def change_log(draft: Draft) -> None:
    """Lines of any kind, with the size that `bundle.json` has of them put right, or not."""
    at = draft.at(prefix="logs/")
    content = draft.random.choice(_LINES)(draft.random)
    draft.change(at, content=content)
    if draft.random.random() < 0.7:
        name, manifest = draft.entries[at].name.decode(errors="replace"), draft.named("bundle.json")
        try:
            document = json.loads(draft.entries[manifest].content)
            for chunk in (chunk for log in document["logs"] for chunk in log["chunks"] if chunk["entry"] == name):
                chunk |= {"bytes": len(content), "lines": content.count(b"\n")}
        except (ValueError, RecursionError, KeyError, TypeError):
            return
        draft.change(manifest, content=json.dumps(document).encode())


def change_file(draft: Draft) -> None:
    """An artifact with another content."""
    content = draft.random.choice(
        (
            b"",
            b"\x89PNG\r\n\x1a\n" + draft.random.randbytes(500),
            b"PK\x05\x06" + b"\x00" * 18,
            b"\x1f\x8b" + b"x" * 50,
            b"\x00" * 5_000_000,
            b"{" * 100_000,
            b"a,b\n" * 100_000,
            b"<html><script>alert(1)</script>",
        )
    )
    draft.change(draft.at(prefix="files/"), content=content)
