"""Converts a text and reads the result, for the tests of all systems."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent
from typing import Any

from workbench.importer.convert import import_pipeline
from workbench.importer.draft import REVIEW, ImportedPipeline
from workbench.pipeline_file.load import lint_pipeline

REVIEWED = {"branch": REVIEW}


def imported(text: str, file: str = "ci.yml") -> ImportedPipeline:
    """The import of a text, whose result lint has nothing to say about but hints."""
    made = import_pipeline(dedent(text).encode(), file)
    problems = [problem for problem in lint_pipeline(made.text).problems if problem.severity != "hint"]
    assert problems == [], made.text
    return made


def definition(text: str) -> dict[str, Any]:
    """The converted pipeline, normalised."""
    found = lint_pipeline(imported(text).text).definition
    assert found is not None
    return dict(found)


def steps(text: str) -> dict[str, Mapping[str, Any]]:
    """The steps of the converted pipeline, by name."""
    return {step["name"]: step for step in definition(text)["steps"]}


def notes(text: str) -> str:
    """All notes, a line each, with the step that they concern."""
    return "\n".join(f"{step}: {note}" if step else str(note) for step, note in imported(text).notes)
