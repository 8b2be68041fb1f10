"""Downloads the source of the run and the artifacts of earlier steps, before a step begins."""

from __future__ import annotations

import time

from ..archive.summary import describe_archive
from ..archive.unpack import download_and_extract
from ..client import AgentClient
from ..errors import printable
from ..permissions import grant_access, users_may_differ
from ..settings import AgentSettings
from ..sources.shared_folder import before_others

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_MAX_REPORTED = 5
_MIN_SHARED = 16 * 1024**2
"""Bytes of an archive; below, unpacking it for each step is cheaper than having it on the disk once more."""


def fetch_source(settings: AgentSettings, client: AgentClient, *, use_spare: bool) -> None:
    """Extract the source, which does not depend on other steps, or take a spare copy of it."""
    if settings.flag("C8S_FETCH_KEPT"):
        _fetch(settings, client, "source", "the saved workspace", any_link=True)
    elif settings.flag("C8S_FETCH_SOURCE"):
        with_git = settings.flag("C8S_FETCH_GIT")
        selects = _input_selector(settings, with_git=with_git)
        link = client.download_link("source")
        if use_spare and selects is None and not with_git and _take_spare(settings, client, link):
            return
        with before_others(settings.optional("C8S_SHARED_SOURCES")):
            if selects is not None or not _copy_source(settings, client, link, with_git=with_git):
                _fetch(settings, client, "source", "the source", link=link, skip_git=not with_git, selects=selects)


def _take_spare(settings: AgentSettings, client: AgentClient, link: dict[str, Any]) -> bool:
    """Take a spare copy of the source; False if there is none."""
    folder = settings.optional("C8S_SHARED_SOURCES")
    if folder is None:
        return False
    # Not before it is needed: importing it takes time.
    from ..sources.spares import use_spare

    done = use_spare(client, link, folder, settings.workspace)
    if done is not None:
        print(f"fetched the source: {done}", flush=True)
    return done is not None


def _copy_source(settings: AgentSettings, client: AgentClient, link: dict[str, Any], *, with_git: bool) -> bool:
    """Copy a large source from where the agents of this machine have it unpacked; False if they share none."""
    folder, size = settings.optional("C8S_SHARED_SOURCES"), link.get("size")
    if folder is None or not isinstance(size, int) or size < _MIN_SHARED:
        return False
    # As above.
    from ..sources.copies import can_copy, fetch_shared

    if not can_copy():
        return False
    done = fetch_shared(client, link, folder, settings.workspace, skip_git=not with_git)
    print(f"fetched the source: {size} bytes packed, {done}", flush=True)
    return True


def _input_selector(settings: AgentSettings, *, with_git: bool) -> Callable[[str], bool] | None:
    """Which files of the source the step gets; None for all of them."""
    if settings.optional("C8S_INPUTS") is None:
        return None
    from .inputs import input_selector

    globs = settings.json_strings("C8S_INPUTS")
    return input_selector([*globs, ".git"] if with_git else globs)


def fetch_results(settings: AgentSettings, client: AgentClient) -> None:
    """Extract the artifacts of earlier steps in the order of the setting, then the caches."""
    _fetch_artifacts(settings, client, settings.comma_list("C8S_FETCH_ARTIFACTS"))
    if settings.optional("C8S_CACHES"):
        from .caches import restore

        restore(settings, client)
    if settings.flag("C8S_FETCH_FAILED_TESTS"):
        from .reports import fetch_failed_tests

        fetch_failed_tests(settings, client)
    if users_may_differ():
        grant_access(settings.workspace)


def _fetch_artifacts(settings: AgentSettings, client: AgentClient, slugs: list[str]) -> None:
    overlaps = Overlaps()
    for slug in slugs:
        # The artifacts of one step alone can't overlap, and finding that out takes time.
        record = overlaps.recorder(slug) if len(slugs) > 1 else None
        _fetch(settings, client, f"artifacts/{slug}", f"the artifacts of {slug}", any_link=True, record=record)
        for line in overlaps.take_warnings():
            print(line, flush=True)


class Overlaps:
    """Finds the paths that several steps have stored with different contents."""

    def __init__(self) -> None:
        self._stored: dict[str, tuple[str, str]] = {}
        """Path -> the step that it was extracted from last, and the fingerprint of its content."""
        self._replaced: list[tuple[str, str, str]] = []

    def recorder(self, slug: str) -> Callable[[str, str], None]:
        """What to call with path and fingerprint of each file of this step."""

        def record(path: str, fingerprint: str) -> None:
            earlier = self._stored.get(path)
            if earlier is not None and earlier[0] != slug and earlier[1] != fingerprint:
                self._replaced.append((path, earlier[0], slug))
            self._stored[path] = (slug, fingerprint)

        return record

    def take_warnings(self) -> list[str]:
        """A line for each path that was replaced since the last call, up to a few."""
        replaced, self._replaced = self._replaced, []
        lines = [
            f"warning: {printable(path)} of {slug} replaces the one of {earlier}, which differs"
            for path, earlier, slug in replaced[:_MAX_REPORTED]
        ]
        if len(replaced) > _MAX_REPORTED:
            lines.append(
                f"warning: {len(replaced) - _MAX_REPORTED} more files of {replaced[0][2]} replace earlier ones"
            )
        return lines


def _fetch(
    settings: AgentSettings,
    client: AgentClient,
    path: str,
    what: str,
    *,
    link: dict[str, Any] | None = None,
    any_link: bool = False,
    skip_git: bool = False,
    selects: Callable[[str], bool] | None = None,
    record: Callable[[str, str], None] | None = None,
) -> None:
    started = time.monotonic()
    link = link or client.download_link(path)
    files, size, left_out = download_and_extract(
        client, link, settings.workspace, what, any_link=any_link, skip_git=skip_git, selects=selects, record=record
    )
    took = time.monotonic() - started
    without = f", without {left_out} that are not among the inputs of the step" if selects is not None else ""
    print(f"fetched {what}: {describe_archive(files, size)}{without}, in {took:.2f} s", flush=True)
