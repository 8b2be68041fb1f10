"""An archive that a link leads to, unpacked into the workspace."""

from __future__ import annotations

from .scratch_file import scratch_file
from .unpack import Unpacking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..client import Api


def unpack(
    api: Api, link: dict[str, Any], workspace: str, what: str, *, again: bool = True, any_link: bool = False
) -> tuple[int, int]:
    """How many files there were, and how many bytes, packed.

    `again`: try for a while what can't be had. `any_link`: see `Unpacking`.
    """
    with scratch_file(workspace) as archive:
        size = api.download(link, archive, what, again=again)
        archive.seek(0)
        unpacking = Unpacking(workspace, any_link=any_link)
        try:
            unpacking.unpack(archive)
        finally:
            unpacking.close()
    return unpacking.files, size
