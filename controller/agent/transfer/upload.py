"""Stores what a step leaves: its artifacts, its caches and, after a failure, its workspace.

The manifest of the artifacts is sent last: without it the step has none.
"""

from __future__ import annotations

import time

from ..archive.pack import pack
from ..archive.scratch_file import read_chunks, scratch_file
from ..archive.summary import describe_archive
from ..client import AgentClient
from ..errors import AgentError, printable
from ..globs import collect
from ..settings import AgentSettings

_MAX_FILES = 200_000
_MAX_PATH_LENGTH = 4096


def store_rest(settings: AgentSettings, client: AgentClient, exit_code: str | None, *, incomplete: bool) -> None:
    """Store caches and workspace, for which no other step waits.

    Args:
        exit_code: of its commands, in digits; "" if they reported none, None if they never began.
        incomplete: whether its artifacts could not be stored.
    """
    # Strangers' files must not get into what later runs restore; the API refuses them, too.
    if settings.optional("C8S_CACHES") and not settings.flag("C8S_CACHES_READ_ONLY"):
        from .caches import save

        save(settings, client, exit_code)
    if settings.flag("C8S_KEEP_WORKSPACE"):
        from .workspace import save_workspace

        save_workspace(settings, client, _attempt_key(settings), exit_code, failed=incomplete)


def _attempt_key(settings: AgentSettings) -> tuple[str, str]:
    return settings.require("C8S_STEP_SLUG"), settings.require("C8S_ATTEMPT")


def _globs(settings: AgentSettings) -> tuple[list[str], list[str]]:
    """The globs of the artifacts; those of the second list may match nothing."""
    optional = settings.json_strings("C8S_OPTIONAL_ARTIFACTS") if settings.optional("C8S_OPTIONAL_ARTIFACTS") else []
    return settings.json_strings("C8S_ARTIFACTS"), optional


def store_artifacts(settings: AgentSettings, client: AgentClient) -> None:
    """Store the artifacts of the step. Raises AgentError when they are incomplete."""
    started, attempt_key = time.monotonic(), _attempt_key(settings)
    globs, optional = _globs(settings)
    paths = collect(settings.workspace, globs, optional)
    check_listable(paths)
    with scratch_file(settings.workspace) as archive:
        packed = pack(settings.workspace, paths, archive)
        link = client.upload_link(*attempt_key, packed.size, packed.sha256)
        client.put(link, lambda: read_chunks(archive), packed.size)
    client.commit(*attempt_key, packed.manifest())
    took = time.monotonic() - started
    stored = describe_archive(len(packed.files), packed.size, "artifact")
    print(f"stored {stored}, in {took:.2f} s", flush=True)


def check_listable(paths: list[str]) -> None:
    """Raise AgentError if the API would reject the list of these files, before they are packed and uploaded."""
    if len(paths) > _MAX_FILES:
        raise AgentError(f"the artifacts are {len(paths)} files; at most {_MAX_FILES} can be stored: store a tar file")
    for path in paths:
        if len(path) > _MAX_PATH_LENGTH:
            length = f"{len(path)} characters; at most {_MAX_PATH_LENGTH} are allowed"
            raise AgentError(f"the path of the artifact {printable(path)} has {length}: store a tar file")
