"""The workspace of a step that has failed, kept as it was left, for a person to enter (`c8s shell RUN STEP`).

What goes wrong with that is told in one line here and in the run's status, and fails nothing.
"""

from __future__ import annotations

import time

from .archive.pack_tree import PackedTree
from .archive.scratch_file import content, scratch_file
from .errors import AgentError, shown
from .exit_code import exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .client import Api
    from .settings import Settings


def keep(settings: Settings, api: Api, place: tuple[str, str], *, failed: bool) -> None:
    """Store the workspace, if the step has failed; or, with `failed`, what it should have left is missing.

    Args:
        place: the step's slug and the attempt.
    """
    try:
        code = exit_code(settings.need("C8S_EXIT_FILE"))
        if code is None or (code == "0" and not failed):
            return
        problem = _stored(settings, api, place)
    except (AgentError, OSError) as trouble:
        problem = _words(trouble)
    if problem is None:
        return
    print(f"workspace: not kept: {problem}", flush=True)
    try:
        api.commit_workspace(*place, {"problem": shown(problem)})
    except AgentError as trouble:
        print(f"workspace: {trouble}", flush=True)


def _stored(settings: Settings, api: Api, place: tuple[str, str]) -> str | None:
    """None when it is stored; otherwise why it is not."""
    started = time.monotonic()
    terms = api.workspace_terms(*place)
    if not terms["wanted"]:
        return str(terms.get("why") or "nobody wants it")
    tree = PackedTree(settings.workspace, terms["limit"])
    with scratch_file(settings.workspace) as archive:
        tree.pack(archive)
        url = api.workspace_url(*place, tree.size, tree.sha256)
        api.put(url, lambda: content(archive), tree.size)
    told = {"size": tree.size, "sha256": tree.sha256, "files": tree.files, "leftOut": tree.left_out}
    api.commit_workspace(*place, told)
    took = time.monotonic() - started
    without = f", {tree.left_out} left out" if tree.left_out else ""
    print(f"kept the workspace: {tree.files} files, {tree.size} bytes packed{without}, in {took:.2f} s", flush=True)
    return None


def _words(trouble: AgentError | OSError) -> str:
    if isinstance(trouble, AgentError):
        return str(trouble)
    return trouble.strerror or type(trouble).__name__
