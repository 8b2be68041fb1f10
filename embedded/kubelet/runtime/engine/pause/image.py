"""The image of the container that holds a pod's network: the program and nothing else. Pure."""

from __future__ import annotations

import hashlib
import io
import tarfile

from embedded.kubelet.runtime.engine.pause.program import PROGRAM


def root_file_system(content: bytes) -> bytes:
    """A tar archive with the program alone, as engines import images."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(PROGRAM.lstrip("/"))
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def image_tag(content: bytes) -> str:
    """A name for the image that changes with its content."""
    return f"c8s-pause:{hashlib.sha256(content).hexdigest()[:12]}"
