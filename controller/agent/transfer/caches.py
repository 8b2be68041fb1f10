"""Caches: restored into the workspace before a step, saved after a step that succeeded.

A failure never fails the step, because a cache only saves time: it is reported in one line of the log. A file in the
folder of the gate (C8S_GATE) records which caches were found.
"""

# ruff: noqa: PTH118, PTH123
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time

from ..archive.pack import pack
from ..archive.root_folder import RootFolder
from ..archive.scratch_file import read_chunks, scratch_file
from ..archive.summary import describe_archive
from ..archive.unpack import download_and_extract
from ..errors import AgentError, printable
from ..globs import collect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..client import AgentClient
    from ..settings import AgentSettings

_HASH = re.compile(r"\$?\{\{[ \t]*hash[ \t]+([^{}\s][^{}]*)\}\}")
_STATE_FILE = "caches.json"
_MAX_KEY_LENGTH = 512
_CHUNK_SIZE = 256 * 1024


def restore(settings: AgentSettings, client: AgentClient) -> None:
    """Extract the caches that exist, and record which do not."""
    states = []
    for cache in settings.caches("C8S_CACHES"):
        state = {"key": "", "paths": cache["paths"], "hit": False}
        try:
            state["key"] = _render_key(settings.workspace, cache["key"])
            state["hit"] = _restore_one(settings, client, state["key"])
        except (AgentError, OSError) as error:
            _report(state["key"] or cache["key"], f"not used: {error}")
        states.append(state)
    with open(os.path.join(settings.require("C8S_GATE"), _STATE_FILE), "w", encoding="utf-8") as file:
        json.dump(states, file)


def save(settings: AgentSettings, client: AgentClient, exit_code: str | None) -> None:
    """Upload the caches that did not exist, if the step has succeeded."""
    if exit_code != "0":
        return
    try:
        with open(os.path.join(settings.require("C8S_GATE"), _STATE_FILE), encoding="utf-8") as file:
            states = json.load(file)
    except (OSError, ValueError) as error:
        print(f"caches: not saved: {error}", flush=True)
        return
    for state in states:
        if state["key"] and not state["hit"]:
            try:
                _save_one(settings, client, state["key"], state["paths"])
            except (AgentError, OSError) as error:
                _report(state["key"], f"not saved: {error}")


def _restore_one(settings: AgentSettings, client: AgentClient, key: str) -> bool:
    link = client.cache_link(key)
    if link is None:
        _report(key, "not found")
        return False
    started = time.monotonic()
    files, size, _ = download_and_extract(client, link, settings.workspace, "the cache", retry=False, any_link=True)
    _report(key, f"{describe_archive(files, size)}, in {time.monotonic() - started:.2f} s")
    return True


def _save_one(settings: AgentSettings, client: AgentClient, key: str, paths: list[str]) -> None:
    started = time.monotonic()
    found = _collect_existing(settings.workspace, paths)
    if not found:
        _report(key, "not saved: none of its paths exists")
        return
    with scratch_file(settings.workspace) as archive:
        packed = pack(settings.workspace, found, archive)
        link = client.cache_upload_link(key, packed.size, packed.sha256)
        client.put(link, lambda: read_chunks(archive), packed.size)
    client.commit_cache(key, packed.size, packed.sha256)
    took = time.monotonic() - started
    _report(key, f"saved {describe_archive(len(packed.files), packed.size)}, in {took:.2f} s")


def _collect_existing(workspace: str, paths: list[str]) -> list[str]:
    """The files below the paths; paths that do not exist are skipped."""
    found: set[str] = set()
    for path in paths:
        try:
            found.update(collect(workspace, [path]))
        except AgentError:
            continue
    return sorted(found, key=os.fsencode)


def _render_key(workspace: str, text: str) -> str:
    """The key with each `{{hash FILE}}` replaced by a digest.

    Raises AgentError for a file that does not exist, without which all contents would share one cache.
    """
    key = _HASH.sub(lambda match: _hash_files(workspace, match[1]), text)
    if len(key) > _MAX_KEY_LENGTH:
        raise AgentError(f"the key is longer than {_MAX_KEY_LENGTH} characters")
    return key


def _hash_files(workspace: str, pattern: str) -> str:
    """A digest of the names and contents of the files that match a pattern."""
    digest = hashlib.sha256()
    try:
        paths = collect(workspace, [pattern])
    except AgentError:
        raise AgentError(f"{{{{hash {printable(pattern)}}}}} matches no file") from None
    with RootFolder(workspace) as root:
        for path in paths:
            if not path.endswith("/"):
                digest.update(os.fsencode(path) + b"\0" + _hash_content(root, path))
    return digest.hexdigest()


def _hash_content(root: RootFolder, path: str) -> bytes:
    """The digest of a file's content or of a link's target."""
    content = hashlib.sha256()
    found = root.stat(path)
    if stat.S_ISLNK(found.st_mode):
        content.update(os.fsencode(root.read_link(path)))
        return content.digest()
    with open(root.open_file(path), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise AgentError(f"{printable(path)} is no longer a file")
        while chunk := file.read(_CHUNK_SIZE):
            content.update(chunk)
    return content.digest()


def _report(key: str, message: str) -> None:
    print(f"cache {printable(key)}: {message}", flush=True)
