"""`fetch`: brings the run's source and the artifacts of earlier steps into the workspace, before a step begins."""

import time

from .api import Api
from .scratch import scratch_file
from .settings import Settings
from .sharing import alone_in_container, share
from .unpack import Unpacking


def fetch(settings: Settings) -> None:
    """Unpacks the source, then the artifacts in the order in which the steps are named, then caches."""
    api = Api(settings)
    if settings.flag("C8S_FETCH_SOURCE"):
        _bring(settings, api, "source", "the source")
    for slug in settings.words("C8S_FETCH_ARTIFACTS"):
        _bring(settings, api, f"artifacts/{slug}", f"the artifacts of {slug}")
    if settings.optional("C8S_CACHES"):
        from .caches import bring

        bring(settings, api)
    if alone_in_container():
        share(settings.workspace)


def _bring(settings: Settings, api: Api, path: str, what: str) -> None:
    started = time.monotonic()
    link = api.link(path)
    with scratch_file(settings.workspace) as archive:
        size = api.download(link, archive, what)
        archive.seek(0)
        unpacking = Unpacking(settings.workspace)
        try:
            unpacking.unpack(archive)
        finally:
            unpacking.close()
    took = time.monotonic() - started
    print(f"fetched {what}: {unpacking.files} files, {size} bytes packed, in {took:.2f} s", flush=True)
