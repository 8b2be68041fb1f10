"""Caches: brought into the workspace before a step, kept after one that succeeded.

A cache saves time and nothing else, so nothing about it ever fails a step: what could not be done is told in one line.
Between `fetch` and `upload` a file in the folder that both have says which caches there were.
"""

# ruff: noqa: PTH118, PTH123
# (pathlib would cost more to import than the whole of this work takes.)

from __future__ import annotations

import hashlib
import json
import os
import re
import time

from .archive.download import unpack
from .archive.pack import pack
from .archive.scratch_file import read_chunks, scratch_file
from .errors import AgentError, printable
from .exit_code import read_exit_code
from .globs import collect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .client import AgentClient
    from .settings import Settings

_HASH = re.compile(r"\$?\{\{[ \t]*hash[ \t]+([^{}\s][^{}]*?)[ \t]*\}\}")
_STATE_FILE = "caches.json"
_MAX_KEY_LENGTH = 512
_CHUNK_SIZE = 256 * 1024


def restore(settings: Settings, api: AgentClient) -> None:
    """Unpacks the caches of the step that are there, and notes for later which were not."""
    notes = []
    for wanted in settings.caches("C8S_CACHES"):
        note = {"key": "", "paths": wanted["paths"], "hit": False}
        try:
            note["key"] = _render_key(settings.workspace, wanted["key"])
            note["hit"] = _unpack(settings, api, note["key"])
        except (AgentError, OSError) as problem:
            _report(note["key"] or wanted["key"], f"not used: {problem}")
        notes.append(note)
    with open(os.path.join(settings.require("C8S_HANDOFF"), _STATE_FILE), "w", encoding="utf-8") as file:
        json.dump(notes, file)


def save(settings: Settings, api: AgentClient) -> None:
    """Stores the caches that were not there, when the step has succeeded."""
    try:
        if read_exit_code(settings.require("C8S_EXIT_FILE")) != "0":
            return
        with open(os.path.join(settings.require("C8S_HANDOFF"), _STATE_FILE), encoding="utf-8") as file:
            notes = json.load(file)
    except (OSError, ValueError) as problem:
        print(f"caches: not kept: {problem}", flush=True)
        return
    for note in notes:
        if note["key"] and not note["hit"]:
            try:
                _store(settings, api, note["key"], note["paths"])
            except (AgentError, OSError) as problem:
                _report(note["key"], f"not kept: {problem}")


def _unpack(settings: Settings, api: AgentClient, key: str) -> bool:
    link = api.cache_link(key)
    if link is None:
        _report(key, "there is none yet")
        return False
    started = time.monotonic()
    files, size = unpack(api, link, settings.workspace, "the cache", retry=False)
    _report(key, f"{files} files, {size} bytes packed, in {time.monotonic() - started:.2f} s")
    return True


def _store(settings: Settings, api: AgentClient, key: str, paths: list[str]) -> None:
    started = time.monotonic()
    found = _collect_existing(settings.workspace, paths)
    if not found:
        _report(key, "not kept: none of its paths is there")
        return
    with scratch_file(settings.workspace) as archive:
        packed = pack(settings.workspace, found, archive)
        url = api.cache_url(key, packed.size, packed.sha256)
        api.put(url, lambda: read_chunks(archive), packed.size)
    api.commit_cache(key, packed.size, packed.sha256)
    took = time.monotonic() - started
    _report(key, f"kept {len(packed.files)} files, {packed.size} bytes packed, in {took:.2f} s")


def _collect_existing(workspace: str, paths: list[str]) -> list[str]:
    """The files below the paths; a path that is not there is no reason to keep none of the others."""
    found: set[str] = set()
    for path in paths:
        try:
            found.update(collect(workspace, [path]))
        except AgentError:
            continue
    return sorted(found, key=os.fsencode)


def _render_key(workspace: str, text: str) -> str:
    """The key with each `{{hash FILE}}` filled in. Raises when there is no such file: all would share one cache."""
    key = _HASH.sub(lambda match: _hash_files(workspace, match[1]), text)
    if len(key) > _MAX_KEY_LENGTH:
        raise AgentError(f"the key is longer than {_MAX_KEY_LENGTH} characters")
    return key


def _hash_files(workspace: str, pattern: str) -> str:
    """A digest of the names and contents of the files that a pattern names."""
    digest = hashlib.sha256()
    try:
        paths = collect(workspace, [pattern])
    except AgentError:
        raise AgentError(f"{{{{hash {printable(pattern)}}}}} finds no file") from None
    for path in paths:
        whole = os.path.join(workspace, path)
        content = hashlib.sha256()
        if os.path.islink(whole):  # noqa: PTH114 - as above
            content.update(os.fsencode(os.readlink(whole)))  # noqa: PTH115 - as above
        else:
            with open(os.open(whole, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                while piece := file.read(_CHUNK_SIZE):
                    content.update(piece)
        digest.update(os.fsencode(path) + b"\0" + content.digest())
    return digest.hexdigest()


def _report(key: str, words: Any) -> None:
    print(f"cache {printable(key)}: {words}", flush=True)
