"""The workspace of a step that has failed, kept as it was left, for a person to enter (`c8s shell RUN STEP`).

What goes wrong with that is told in one line here and in the run's status, and fails nothing.
"""

from __future__ import annotations

import time

from .archive.pack_tree import TreeArchiver
from .archive.scratch_file import read_chunks, scratch_file
from .errors import AgentError, printable
from .exit_code import read_exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .client import AgentClient
    from .settings import Settings


def save_workspace(settings: Settings, api: AgentClient, place: tuple[str, str], *, failed: bool) -> None:
    """Store the workspace, if the step has failed; or, with `failed`, what it should have left is missing.

    Args:
        place: the step's slug and the attempt.
    """
    try:
        code = read_exit_code(settings.require("C8S_EXIT_FILE"))
        if code is None or (code == "0" and not failed):
            return
        problem = _store(settings, api, place)
    except (AgentError, OSError) as trouble:
        problem = _describe(trouble)
    if problem is None:
        return
    print(f"workspace: not kept: {problem}", flush=True)
    try:
        api.commit_workspace(*place, {"problem": printable(problem)})
    except AgentError as trouble:
        print(f"workspace: {trouble}", flush=True)


def _store(settings: Settings, api: AgentClient, place: tuple[str, str]) -> str | None:
    """None when it is stored; otherwise why it is not."""
    started = time.monotonic()
    terms = api.workspace_policy(*place)
    if not terms["wanted"]:
        return str(terms.get("why") or "nobody wants it")
    tree = TreeArchiver(settings.workspace, terms["limit"])
    with scratch_file(settings.workspace) as archive:
        tree.pack(archive)
        url = api.workspace_url(*place, tree.size, tree.sha256)
        api.put(url, lambda: read_chunks(archive), tree.size)
    told = {"size": tree.size, "sha256": tree.sha256, "files": tree.files, "leftOut": tree.skipped}
    api.commit_workspace(*place, told)
    took = time.monotonic() - started
    without = f", {tree.skipped} left out" if tree.skipped else ""
    print(f"kept the workspace: {tree.files} files, {tree.size} bytes packed{without}, in {took:.2f} s", flush=True)
    return None


def _describe(trouble: AgentError | OSError) -> str:
    if isinstance(trouble, AgentError):
        return str(trouble)
    return trouble.strerror or type(trouble).__name__
