"""Rules on paths: artifacts, caches and working folders are in the workspace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controller.pipeline.diagnostics import Diagnostic, SourceMap, quote
from controller.pipeline.lint.rules.accessors import artifact_globs, iter_mappings, iter_steps, iter_strings

Json = dict[str, Any]


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


RULES = (_artifacts, _folders)
