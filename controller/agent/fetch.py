"""`fetch`: brings the run's source and the artifacts of earlier steps into the workspace, before a step begins."""

import time

from .archive.download import unpack
from .client import Api
from .permissions import alone_in_container, share
from .settings import Settings


def fetch(settings: Settings) -> None:
    """Unpacks the source, then the artifacts in the order in which the steps are named, then caches."""
    api = Api(settings)
    if settings.flag("C8S_FETCH_KEPT"):
        _bring(settings, api, "source", "the kept workspace", any_link=True)
    elif settings.flag("C8S_FETCH_SOURCE"):
        _bring(settings, api, "source", "the source")
    for slug in settings.words("C8S_FETCH_ARTIFACTS"):
        _bring(settings, api, f"artifacts/{slug}", f"the artifacts of {slug}")
    if settings.optional("C8S_CACHES"):
        from .caches import bring

        bring(settings, api)
    if alone_in_container():
        share(settings.workspace)


def _bring(settings: Settings, api: Api, path: str, what: str, *, any_link: bool = False) -> None:
    started = time.monotonic()
    files, size = unpack(api, api.link(path), settings.workspace, what, any_link=any_link)
    took = time.monotonic() - started
    print(f"fetched {what}: {files} files, {size} bytes packed, in {took:.2f} s", flush=True)
