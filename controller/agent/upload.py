"""`upload`: waits for the end of the step, then stores its artifacts, its caches and, after a failure, its workspace.

The kubelet ends a sidecar with SIGTERM once the container of the step has ended. The manifest of the artifacts is
sent last: without it the step has none.
"""

from __future__ import annotations

import os
import signal
import time

from .archive.pack import pack
from .archive.scratch_file import read_chunks, scratch_file
from .archive.summary import describe_archive
from .client import AgentClient
from .errors import AgentError, UsageError, printable
from .globs import collect
from .settings import AgentSettings

_MAX_FILES = 200_000
_MAX_PATH_LENGTH = 4096


def upload(settings: AgentSettings) -> None:
    """Wait for the end of the step and store what it leaves. Raises AgentError when its artifacts are incomplete."""
    slug, attempt = settings.require("C8S_STEP_SLUG"), settings.require("C8S_ATTEMPT")
    globs = settings.json_strings("C8S_ARTIFACTS")
    optional = settings.json_strings("C8S_OPTIONAL_ARTIFACTS") if settings.optional("C8S_OPTIONAL_ARTIFACTS") else []
    ready = settings.optional("C8S_READY_FILE")
    _wait_for_termination(ready)
    client = AgentClient(settings)
    incomplete: AgentError | None = None
    if globs or optional:
        try:
            _store_artifacts(settings, client, (slug, attempt), (globs, optional), ready)
        except AgentError as error:
            incomplete = error
    if settings.optional("C8S_CACHES"):
        from .caches import save

        save(settings, client)
    if settings.flag("C8S_KEEP_WORKSPACE"):
        from .workspace import save_workspace

        save_workspace(settings, client, (slug, attempt), failed=incomplete is not None)
    if incomplete is not None:
        raise incomplete


def _store_artifacts(
    settings: AgentSettings,
    client: AgentClient,
    attempt_key: tuple[str, str],
    globs: tuple[list[str], list[str]],
    ready: str | None,
) -> None:
    """Store the files of the globs; those of the second list may match nothing."""
    started = time.monotonic()
    # The ready file may be in the workspace, the only folder that steps and sidecars share.
    ignored = frozenset([os.path.relpath(ready, settings.workspace)] if ready else [])
    paths = collect(settings.workspace, globs[0], ignored, globs[1])
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


def _wait_for_termination(ready: str | None) -> None:
    """Wait for SIGTERM, which is blocked since the start of the program, so that none is lost.

    `ready` is a file to create once the agent may be terminated.
    """
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    if ready is not None:
        try:
            os.close(os.open(ready, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        except OSError as error:
            raise UsageError(f"the file {ready} can't be created: {error.strerror}") from None
    signal.sigwait(ending)
