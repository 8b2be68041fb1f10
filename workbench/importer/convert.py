"""Recognises which system a file belongs to, and converts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from workbench.importer.argo import workflow as argo
from workbench.importer.draft import ImportedPipeline, PipelineDraft, finish
from workbench.importer.github import workflow as github
from workbench.importer.gitlab import pipeline as gitlab
from workbench.importer.source import ImportFileError, read_documents
from workbench.importer.tekton import pipeline as tekton


@dataclass(frozen=True)
class _System:
    recognizes: Callable[[list[Any]], bool]
    convert: Callable[[list[Any], str], PipelineDraft]


SYSTEMS: Mapping[str, _System] = {
    "github": _System(github.recognizes, github.convert),
    "tekton": _System(tekton.recognizes, tekton.convert),
    "argo": _System(argo.recognizes, argo.convert),
    # The last one: any map may be one of GitLab.
    "gitlab": _System(gitlab.recognizes, gitlab.convert),
}


def import_pipeline(data: bytes, file: str, system: str | None = None) -> ImportedPipeline:
    """Convert the content of a file. `system` is recognised by the content unless it is given.

    Raises:
        ImportFileError: it can't be read, belongs to no known system, or can't be converted.
    """
    documents = [document for document in read_documents(data) if document is not None]
    if not documents:
        raise ImportFileError("the file is empty")
    chosen = system or next((name for name, each in SYSTEMS.items() if each.recognizes(documents)), None)
    if chosen is None:
        raise ImportFileError(
            "this is not a GitHub workflow, a .gitlab-ci.yml, a Tekton Pipeline or an Argo Workflow; "
            "if it is, name the system with --from"
        )
    path = PurePath(file)
    stem = path.parent.name if path.name.startswith(".") and path.parent.name else path.stem
    try:
        draft = SYSTEMS[chosen].convert(documents, stem)
    except RecursionError:
        raise ImportFileError("the file is nested too deep") from None
    return finish(draft, path.name)
