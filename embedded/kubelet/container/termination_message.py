"""A container's terminationMessagePath: the file it leaves its last word in.

Below a volume's mount path it is a file of the volume. Elsewhere, such as the
default below /dev, the machine's own file must not be touched: the container
gets a file of its own, and where its command, arguments or variables name the
path, they name that file instead.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.kubelet.config.volumes import PathMap

Json = dict[str, Any]

_MAX_BYTES = 4096


@dataclass(frozen=True)
class TerminationMessage:
    """`path` is what the spec says, where it is not in a volume; `file` is where the word is looked for."""

    path: str
    file: Path | None

    @classmethod
    def of(cls, container: Json, paths: PathMap, folder: Path) -> TerminationMessage:
        """That of a container which is about to start: what an earlier start has said is forgotten.

        Raises:
            OSError: the folder can't be written.
        """
        wanted = str(container.get("terminationMessagePath") or "")
        if not wanted.startswith("/"):
            return cls("", None)
        mapped = paths.map(wanted)
        if mapped != wanted:
            return cls("", Path(mapped))
        file = folder / "messages" / container["name"]
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        return cls(wanted, file)

    def rewrite(self, text: str) -> str:
        """The text with the file where it names the path, as a whole path."""
        if not self.path or self.path not in text:
            return text
        return re.sub(rf"(?<![\w./-]){re.escape(self.path)}(?![\w/-]|\.\w)", lambda _: str(self.file), text)

    def read(self) -> bytes:
        """What was written, at most as much as a status holds."""
        said = b""
        if self.file is not None and self.file.is_file():
            with suppress(OSError), self.file.open("rb") as file:
                said = file.read(_MAX_BYTES)
        return said
