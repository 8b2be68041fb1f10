"""What an archive holds, in the words of the agent's log."""

from __future__ import annotations


def describe_archive(files: int, size: int, noun: str = "file") -> str:
    """`1 file, 310 bytes packed`: the number of files, or what they are called, and the size of the archive."""
    return f"{files} {noun}{'' if files == 1 else 's'}, {size} byte{'' if size == 1 else 's'} packed"
