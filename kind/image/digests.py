"""Remembers which images the tags named when they were first used, to notice that a tag was moved.

A tag such as `python:3.12-slim` may name another image tomorrow. One file for all clusters keeps what each tag named;
references with a digest need none of this, because Docker checks them itself. The file holds no secrets.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from controller.files import write_private
from kind.errors import KindError
from kind.tools.docker_cli import Docker, ImageIdentity

DIGESTS_FILE = "image-digests.json"

State = Literal["absent", "pinned", "new", "same", "changed"]


@dataclass(frozen=True)
class DigestCheck:
    """What a reference names on this host, compared with what was recorded."""

    image: str
    state: State
    found: ImageIdentity | None = None
    recorded: ImageIdentity | None = None
    file: Path = Path()

    @property
    def warning(self) -> str:
        """What changed and what to do; empty if nothing did."""
        if self.state != "changed" or self.found is None or self.recorded is None:
            return ""
        return f"{self.image} is {self.found.digest}, but was {self.recorded.digest} when it was first used"

    @property
    def remedy(self) -> str:
        """What to do if it changed."""
        if self.recorded is None:
            return ""
        rest = "load the right one" if not self.recorded.digests else f"use {_name(self.image)}@{self.recorded.digest}"
        return f"If this is expected, delete {self.file}; if not, `docker rmi {self.image}`, and {rest}."


def _name(image: str) -> str:
    """The reference without its tag and digest."""
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(":")[0]


class DigestRecord:
    """The recorded images of one user; `file` is made when the first one is recorded."""

    def __init__(self, file: Path, docker: Docker) -> None:
        self._file = file
        self._docker = docker

    async def compare(self, image: str) -> DigestCheck:
        """Compare an image on this host with the record, which stays as it is. Raises KindError: it can't be read."""
        recorded = self._read().get(image)
        if "@" in image:
            return DigestCheck(image, "pinned")
        found = await self._docker.image_identity(image)
        if found is None:
            return DigestCheck(image, "absent", None, recorded, self._file)
        if recorded is None:
            return DigestCheck(image, "new", found, None, self._file)
        state: State = "same" if found.matches(recorded) else "changed"
        return DigestCheck(image, state, found, recorded, self._file)

    async def note(self, image: str) -> DigestCheck:
        """Compare, and record an image that is not recorded yet."""
        check = await self.compare(image)
        if check.state == "new" and check.found is not None:
            entries = {name: asdict(each) for name, each in {**self._read(), image: check.found}.items()}
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._file, json.dumps(entries, indent=1) + "\n")
        return check

    def _read(self) -> dict[str, ImageIdentity]:
        try:
            raw = json.loads(self._file.read_text())
            return {
                str(name): ImageIdentity(str(each["id"]), tuple(map(str, each["digests"])))
                for name, each in raw.items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise KindError(
                f"the record of images {self._file} can't be read: {type(error).__name__}: {error}",
                "Delete the file; the images are recorded again when they are used next.",
            ) from None
