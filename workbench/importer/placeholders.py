"""Replaces the placeholders of Tekton and Argo, with a limit on what a text may grow to."""

from __future__ import annotations

import re
from collections.abc import Callable

from workbench.importer.draft import MAX_TEXT
from workbench.importer.source import ImportFileError


def replace_placeholders(pattern: re.Pattern[str], value: str, resolve: Callable[[str], str]) -> str:
    """The text with each match replaced by what `resolve` returns for its first group.

    Raises:
        ImportFileError: the text becomes larger than 1 MiB.
    """
    size = len(value)

    def replace(match: re.Match[str]) -> str:
        nonlocal size
        made = resolve(match[1])
        size += len(made)
        if size > MAX_TEXT:
            raise ImportFileError("a text is larger than 1 MiB once its parameters are filled in")
        return made

    return pattern.sub(replace, value)
