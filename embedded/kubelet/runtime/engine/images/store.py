"""Images in an engine: what is there, and pulling what is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from embedded.kubelet.runtime.engine.connection.client import EngineClient
from embedded.kubelet.runtime.engine.errors import EngineError, EngineUnreachableError
from embedded.kubelet.runtime.engine.images import credentials
from embedded.kubelet.runtime.engine.images.references import ImageReference, invalid_message
from embedded.kubelet.runtime.interface import ImageError

Json = dict[str, Any]


@dataclass(frozen=True)
class EngineImage:
    """What a container takes from its image."""

    id: str
    reported_id: str
    """As in a container's status: with the digest in its registry, if it has one."""
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str
    stop_signal: str
    size: int
    """Bytes."""


class ImageStore:
    """The images of an engine.

    Args:
        login_files: where the user's logins are stored.
    """

    def __init__(self, client: EngineClient, login_files: Sequence[Path]) -> None:
        self._client = client
        self._login_files = login_files

    async def find(self, image: str) -> EngineImage | None:
        """An image that is there; None if it is not.

        Raises:
            ImageError: the reference is invalid, or the engine can't tell.
        """
        reference = _parse(image)
        try:
            found = await self._client.get(f"/images/{quote(str(reference), safe='/:@')}/json")
        except EngineError as error:
            if error.status == 404:
                return None
            raise ImageError("ImageInspectError", f'Failed to inspect image "{image}": {error}') from error
        except EngineUnreachableError as error:
            raise ImageError("ImageInspectError", f'Failed to inspect image "{image}": {error}') from error
        return describe(found)

    async def pull(self, image: str, secrets: Sequence[Json]) -> EngineImage:
        """Pull an image from its registry.

        Args:
            secrets: Secrets of the pod that may have a login.

        Raises:
            ImageError: it can't be pulled.
        """
        reference = _parse(image)
        login = credentials.find_login([credentials.secret_logins(each) for each in secrets], reference)
        if login is None:
            login = await credentials.stored_login(self._login_files, reference)
        headers = {"X-Registry-Auth": credentials.header(login)} if login is not None else None
        query = {"fromImage": reference.name, "tag": reference.version}
        failure = ""
        try:
            async for line in self._client.lines("/images/create", query, headers):
                if line.get("error"):
                    failure = str(line["error"])
            found = None if failure else await self.find(image)
        except (EngineError, EngineUnreachableError) as error:
            failure, found = str(error), None
        if found is None:
            raise ImageError("ErrImagePull", failure or "the engine does not have the image after it was pulled")
        return found


def _parse(image: str) -> ImageReference:
    reference = ImageReference.parse(image)
    if reference is None:
        raise ImageError("InvalidImageName", invalid_message(image))
    return reference


def describe(inspected: Json) -> EngineImage:
    """An image as GET /images/{name}/json gives it."""
    config = inspected.get("Config") or {}
    digests = inspected.get("RepoDigests") or []
    return EngineImage(
        str(inspected["Id"]),
        str(digests[0] if digests else inspected["Id"]),
        tuple(config.get("Entrypoint") or ()),
        tuple(config.get("Cmd") or ()),
        str(config.get("User") or ""),
        str(config.get("StopSignal") or "SIGTERM"),
        int(inspected.get("Size") or 0),
    )
