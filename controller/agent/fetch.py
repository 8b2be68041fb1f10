"""`fetch`: downloads the source of the run and the artifacts of earlier steps, before a step starts."""

import time

from .archive.unpack import download_and_extract
from .client import AgentClient
from .permissions import grant_access, is_container_init
from .settings import Settings


def fetch(settings: Settings) -> None:
    """Extract the source, then the artifacts in the order of the setting, then the caches."""
    client = AgentClient(settings)
    if settings.flag("C8S_FETCH_KEPT"):
        _fetch(settings, client, "source", "the saved workspace", any_link=True)
    elif settings.flag("C8S_FETCH_SOURCE"):
        _fetch(settings, client, "source", "the source")
    for slug in settings.comma_list("C8S_FETCH_ARTIFACTS"):
        _fetch(settings, client, f"artifacts/{slug}", f"the artifacts of {slug}", any_link=True)
    if settings.optional("C8S_CACHES"):
        from .caches import restore

        restore(settings, client)
    if is_container_init():
        grant_access(settings.workspace)


def _fetch(settings: Settings, client: AgentClient, path: str, what: str, *, any_link: bool = False) -> None:
    started = time.monotonic()
    link = client.download_link(path)
    files, size = download_and_extract(client, link, settings.workspace, what, any_link=any_link)
    took = time.monotonic() - started
    print(f"fetched {what}: {files} files, {size} bytes packed, in {took:.2f} s", flush=True)
