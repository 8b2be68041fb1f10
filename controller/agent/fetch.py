"""`fetch`: brings the run's source and the artifacts of earlier steps into the workspace, before a step begins."""

import time

from .archive.download import unpack
from .client import AgentClient
from .permissions import grant_access, is_container_init
from .settings import Settings


def fetch(settings: Settings) -> None:
    """Unpacks the source, then the artifacts in the order in which the steps are named, then caches."""
    api = AgentClient(settings)
    if settings.flag("C8S_FETCH_KEPT"):
        _fetch(settings, api, "source", "the kept workspace", any_link=True)
    elif settings.flag("C8S_FETCH_SOURCE"):
        _fetch(settings, api, "source", "the source")
    for slug in settings.comma_list("C8S_FETCH_ARTIFACTS"):
        _fetch(settings, api, f"artifacts/{slug}", f"the artifacts of {slug}")
    if settings.optional("C8S_CACHES"):
        from .caches import restore

        restore(settings, api)
    if is_container_init():
        grant_access(settings.workspace)


def _fetch(settings: Settings, api: AgentClient, path: str, what: str, *, any_link: bool = False) -> None:
    started = time.monotonic()
    files, size = unpack(api, api.download_link(path), settings.workspace, what, any_link=any_link)
    took = time.monotonic() - started
    print(f"fetched {what}: {files} files, {size} bytes packed, in {took:.2f} s", flush=True)
