"""Container termination messages (`terminationMessagePath`).

A path below a volume's mount path is a file of the volume. Elsewhere, such as the default in /dev, the container gets a
separate file. An engine mounts it at the path; for processes, the command, arguments and variables name that file where
they named the path, because the machine's own file must not be touched.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.kubelet.config.mounts import Mount, PathMap

Json = dict[str, Any]

_MAX_BYTES = 4096


@dataclass(frozen=True)
class TerminationMessage:
    """The file that a container writes its termination message to."""

    path: str
    """The path in the spec, if it is replaced by `file`; empty when it is in a volume."""
    file: Path | None
    """The file on this machine; None if the container has none."""
    inside: Path
    """The folder that it must not lead out of."""

    @classmethod
    def of(cls, container: Json, mounts: Iterable[Mount], folder: Path) -> TerminationMessage:
        """Prepare the file of a container that is about to start; the message of an earlier start is deleted.

        Raises:
            OSError: the folder can't be written.
        """
        requested = str(container.get("terminationMessagePath") or "")
        if not requested.startswith("/"):
            return cls("", None, folder)
        mapped = PathMap(mounts).map(requested)
        if mapped != requested:
            return cls("", Path(mapped), folder.resolve() / "volumes")
        file = folder / "messages" / container["name"]
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        return cls(requested, file, file.parent.resolve())

    def rewrite(self, text: str) -> str:
        """Replace the path in a text, where it occurs as a whole path, by the file."""
        if not self.path or self.path not in text:
            return text
        return re.sub(rf"(?<![\w./-]){re.escape(self.path)}(?![\w/-]|\.\w)", lambda _: str(self.file), text)

    def read(self) -> bytes:
        """The message, cut to the length that a status may have."""
        # The container may have put a link to a file of this machine there, or a pipe.
        if self.file is None or not self.file.parent.resolve().is_relative_to(self.inside):
            return b""
        with suppress(OSError):
            descriptor = os.open(self.file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    return file.read(_MAX_BYTES)
        return b""
