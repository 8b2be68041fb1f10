"""Turns the tree of one source into that of another one, by what differs between their archives.

Only for trees that nobody else can see or change. Where one becomes the other in a way that is not plain, nothing is
done, and the source has to be unpacked: a step must never see the difference.
"""

# ruff: noqa: PTH106, PTH108, PTH118
# Importing pathlib takes longer than the work of this module.

from __future__ import annotations

import os

from ..archive.unpack import Extractor
from ..permissions import grant_path
from .tree_index import TreeIndex, index_archive, is_folder, parents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_CHUNK_SIZE = 64 * 1024


class Patch:
    """How the tree of one archive becomes that of another one.

    Attributes:
        index: of the tree afterwards.
        changed: paths that are extracted.
        removed: paths that are removed before that, files and links only.
        folders: that are empty then and are removed, the innermost first.
        ranges: the members of the new archive that have all that is extracted.
    """

    def __init__(
        self,
        index: TreeIndex,
        changed: set[str],
        removed: list[str],
        folders: list[str],
        ranges: list[tuple[int, int]],
    ) -> None:
        self.index = index
        self.changed = changed
        self.removed = removed
        self.folders = folders
        self.ranges = ranges

    @property
    def cost(self) -> int:
        """The number of files that it concerns."""
        return len(self.changed) + len(self.removed)

    def apply(self, tree: str, archive: int, max_bytes: int, *, shared: bool) -> None:
        """Change a tree.

        Args:
            archive: the descriptor of the new archive.
            shared: all users may read and write it.

        Raises:
            AgentError, OSError: the tree is of no use any more.
        """
        for path in self.removed:
            os.unlink(os.path.join(tree, path))
        for path in self.folders:
            os.rmdir(os.path.join(tree, path))
        extractor = Extractor(tree, max_bytes, skip_git=True, selects=self.changed.__contains__)
        try:
            extractor.unpack(_Ranges(archive, self.ranges))
        finally:
            extractor.close()
        if shared:
            for each in {folder for path in self.changed for folder in parents(path)} | self.changed:
                grant_path(os.path.join(tree, each))


def find_patch(old: TreeIndex, archive: int, size: int, max_bytes: int) -> Patch | None:
    """How the tree of an index becomes that of an archive; None if it does not, or not with less work.

    Raises:
        AgentError: the archive is refused, or has no such index.
    """
    new, ranges = index_archive(archive, size, max_bytes, old)
    changed = {path for path, fingerprint in new.entries.items() if old.entries.get(path) != fingerprint}
    gone = [path for path in old.entries if path not in new.entries]
    old_folders, new_folders = _all_folders(old), _all_folders(new)
    if any(is_folder(old.entries[path]) and path in new_folders for path in gone):
        # Its mode was that of its entry.
        return None
    removed = [path for path in gone if not is_folder(old.entries[path])]
    # The extractor replaces a file or a link, but not by a folder.
    removed += [path for path in changed if is_folder(new.entries[path]) and not _is_free(old, path)]
    patch = Patch(new, changed, removed, sorted(old_folders - new_folders, key=len, reverse=True), ranges)
    return patch if 2 * patch.cost <= len(new.entries) else None


def _is_free(index: TreeIndex, path: str) -> bool:
    """Whether neither a file nor a link has this path."""
    return path not in index.entries or is_folder(index.entries[path])


def _all_folders(index: TreeIndex) -> set[str]:
    return index.folders | {path for path, fingerprint in index.entries.items() if is_folder(fingerprint)}


class _Ranges:
    """Parts of a file, read one after the other."""

    def __init__(self, file: int, ranges: Iterable[tuple[int, int]]) -> None:
        self._file = file
        self._ranges = list(ranges)

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, b"" at the end."""
        while self._ranges:
            start, end = self._ranges[0]
            chunk = os.pread(self._file, min(size, end - start), start)
            if chunk:
                self._ranges[0] = start + len(chunk), end
                return chunk
            del self._ranges[0]
        return b""
