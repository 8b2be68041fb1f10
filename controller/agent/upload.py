"""`upload`: waits for the step to end, then stores what its artifact globs name, its caches, or what it failed in.

The wait is for SIGTERM, which a sidecar gets when the step's own container has ended. The manifest goes last: only
with it does the step count as having its artifacts.
"""

# (pathlib would cost more to import than the whole of this work takes.)

from __future__ import annotations

import os
import signal
import time

from .archive.pack import pack
from .archive.scratch_file import read_chunks, scratch_file
from .client import AgentClient
from .errors import AgentError, UsageError
from .globs import collect
from .settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass


def upload(settings: Settings) -> None:
    """Waits, packs, uploads, commits."""
    slug, attempt = settings.require("C8S_STEP_SLUG"), settings.require("C8S_ATTEMPT")
    globs = settings.json_strings("C8S_ARTIFACTS")
    ready = settings.optional("C8S_READY_FILE")
    _wait_for_termination(ready)
    api = AgentClient(settings)
    incomplete: AgentError | None = None
    if globs:
        try:
            _store_artifacts(settings, api, (slug, attempt), globs, ready)
        except AgentError as problem:
            incomplete = problem
    if settings.optional("C8S_CACHES"):
        from .caches import save

        save(settings, api)
    if settings.flag("C8S_KEEP_WORKSPACE"):
        from .workspace import save_workspace as keep_workspace

        keep_workspace(settings, api, (slug, attempt), failed=incomplete is not None)
    if incomplete is not None:
        raise incomplete


def _store_artifacts(
    settings: Settings, api: AgentClient, place: tuple[str, str], globs: list[str], ready: str | None
) -> None:
    started = time.monotonic()
    # The ready file may be in the workspace, because steps and sidecars share nothing else.
    ignored = frozenset([os.path.relpath(ready, settings.workspace)] if ready else [])
    with scratch_file(settings.workspace) as archive:
        packed = pack(settings.workspace, collect(settings.workspace, globs, ignored), archive)
        url = api.upload_url(*place, packed.size, packed.sha256)
        api.put(url, lambda: read_chunks(archive), packed.size)
    api.commit(*place, packed.manifest())
    took = time.monotonic() - started
    print(f"stored {len(packed.files)} artifacts, {packed.size} bytes packed, in {took:.2f} s", flush=True)


def _wait_for_termination(ready: str | None) -> None:
    """Waits for SIGTERM, which has been blocked since the program began, so none is missed.

    `ready` is a file that is made once we wait, for those who must not end before.
    """
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    if ready is not None:
        try:
            os.close(os.open(ready, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        except OSError as problem:
            raise UsageError(f"the file {ready} can't be made: {problem.strerror}") from None
    signal.sigwait(ending)
