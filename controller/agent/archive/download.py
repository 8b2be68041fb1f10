"""An archive that a link leads to, unpacked into the workspace."""

from __future__ import annotations

from .scratch_file import scratch_file
from .unpack import Extractor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..client import AgentClient


def unpack(
    api: AgentClient, link: dict[str, Any], workspace: str, what: str, *, retry: bool = True, any_link: bool = False
) -> tuple[int, int]:
    """How many files there were, and how many bytes, packed.

    `again`: try for a while what can't be had. `any_link`: see `Unpacking`.
    """
    with scratch_file(workspace) as archive:
        size = api.download(link, archive, what, retry=retry)
        archive.seek(0)
        unpacking = Extractor(workspace, any_link=any_link)
        try:
            unpacking.unpack(archive)
        finally:
            unpacking.close()
    return unpacking.files, size
