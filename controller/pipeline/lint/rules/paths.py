"""Rules on paths: artifacts, caches and working folders are in the workspace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, quote
from controller.pipeline.graph import dag
from controller.pipeline.lint.rules.accessors import (
    MAX_STEPS,
    artifact_globs,
    dependencies,
    iter_mappings,
    iter_steps,
    iter_strings,
)

Json = dict[str, Any]

_MAX_COMPARISONS = 1_000
"""Pairs of steps with the same glob that are looked at: each costs as much as there are steps."""


def _artifacts(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for index, step in iter_steps(data):
        seen: set[str] = set()
        for below, glob in artifact_globs(step):
            path = ("steps", index, *below)
            if _escapes_workspace(glob):
                message = f"{quote(glob)} does not stay below the workspace"
                hint = "artifacts are named from the workspace's root, without a leading / and without .."
                yield source_map.diagnostic(path, "artifact-outside", message, hint)
            elif glob in seen:
                message = f"{quote(glob)} is listed twice"
                yield source_map.diagnostic(path, "listed-twice", message, "keep one", severity="hint")
            seen.add(glob)


def _reports(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for index, step in iter_steps(data):
        reports = step.get("reports")
        for name, globs in (reports if isinstance(reports, dict) else {}).items():
            for n, glob in iter_strings(globs):
                if _escapes_workspace(glob):
                    message = f"{quote(glob)} does not stay below the workspace"
                    hint = "reports are named from the workspace's root, without a leading / and without .."
                    yield source_map.diagnostic(("steps", index, "reports", name, n), "report-outside", message, hint)
        if "rerunFailed" in step and not reports:
            message = "without reports it is not known which tests have failed, and this is never run"
            hint = "add `reports`, such as `reports: {junit: [junit.xml]}`"
            yield source_map.diagnostic(
                ("steps", index, "rerunFailed"), "rerun-without-reports", message, hint, severity="warning"
            )


def _overlapping_artifacts(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    """The same glob in two steps that don't depend on each other, while a third one gets the files of both."""
    graph = dependencies(data)
    if len(graph) > MAX_STEPS or dag.find_cycle(graph) is not None:
        return
    left = _MAX_COMPARISONS
    above = {name: frozenset(found) for name, found in dag.transitive_dependencies(graph).items()}
    owners: dict[str, list[str]] = {}
    for index, step in iter_steps(data):
        name = step.get("name")
        if not isinstance(name, str) or name not in above or _has_template(step):
            continue
        for below, glob in artifact_globs(step):
            others = owners.setdefault(glob, [])
            for other in others[:left]:
                left -= 1
                if name == other or other in above[name] or name in above[other]:
                    continue
                common = next((each for each, found in above.items() if name in found and other in found), None)
                if common is not None:
                    message = f"{quote(common)} gets {quote(glob)} of both {quote(other)} and {quote(name)}"
                    hint = "of a file that both store it gets one only: store them in different folders"
                    at = ("steps", index, *below)
                    yield source_map.diagnostic(at, "artifact-overlap", message, hint, severity="hint")
                    break
            others.append(name)


def _has_template(step: Json) -> bool:
    """Whether the step's globs may differ between its expansions or are not known yet."""
    return any("{{" in glob for _, glob in artifact_globs(step))


def _folders(data: Json, source_map: SourceMap) -> Iterator[Diagnostic]:
    for index, step in iter_steps(data):
        folder = step.get("workingDir")
        if isinstance(folder, str) and folder and (folder.startswith("/") or ".." in folder.split("/")):
            message = f"{quote(folder)} leads out of the workspace"
            hint = "name a folder in it, such as services/api"
            yield source_map.diagnostic(("steps", index, "workingDir"), "working-dir-outside", message, hint)
        for n, cache in iter_mappings(step.get("cache")):
            for m, kept in iter_strings(cache.get("paths")):
                if _escapes_workspace(kept):
                    message, hint = f"{quote(kept)} does not stay below the workspace", "name a folder in it"
                    yield source_map.diagnostic(
                        ("steps", index, "cache", n, "paths", m), "cache-outside", message, hint
                    )


def _escapes_workspace(path: str) -> bool:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return path.startswith("/") or ".." in parts or not parts


RULES = (_artifacts, _reports, _overlapping_artifacts, _folders)
