"""Which files the runs that were started on this machine were made from, to tell later what has changed.

There is one small compressed JSON file for each run, in the state folder. It holds names and checksums, no content.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.files import write_private
from workbench.session.view_state import workbench_folder

_MAX_RUNS = 100
"""Maximum number of runs whose files are remembered."""
_MAX_FILES = 50_000
"""Of a larger source, no files are remembered."""
_MAX_BYTES = 32 * 1024 * 1024


def default_manifests() -> SourceManifests:
    """The manifests in the state folder of the user."""
    return SourceManifests(workbench_folder() / "sources")


@dataclass(frozen=True)
class SourceManifests:
    """The manifests in one folder: the checksum of each file by its name, for each run."""

    folder: Path

    def save(self, uid: str, manifest: Mapping[str, str]) -> None:
        """Remember the files of the run with this uid, and forget those of the oldest runs. Raises OSError."""
        if not uid or len(manifest) > _MAX_FILES:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps(dict(manifest), ensure_ascii=True)
        write_private(self._file(uid), gzip.compress(text.encode(), compresslevel=1, mtime=0))
        saved = sorted(self.folder.glob("*.json.gz"), key=_age)
        for old in saved[:-_MAX_RUNS]:
            old.unlink(missing_ok=True)

    def load(self, uid: str) -> Mapping[str, str] | None:
        """The files of the run with this uid; None if they are not known."""
        try:
            with gzip.open(self._file(uid)) as file:
                found = json.loads(file.read(_MAX_BYTES))
        except (OSError, EOFError, ValueError, zlib.error):
            return None
        return {str(name): str(checksum) for name, checksum in found.items()} if isinstance(found, dict) else None

    def _file(self, uid: str) -> Path:
        # The uid comes from a controller.
        return self.folder / f"{uid.encode().hex()[:120]}.json.gz"


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0  # Another process has deleted it.
