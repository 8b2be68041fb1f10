"""The workspace of a failed step, saved as it is for `c8s shell RUN STEP`.

A failure to save it fails nothing: it is reported in one line of the log and in the status of the run.
"""

from __future__ import annotations

import time

from ..archive.pack_tree import TreeArchiver
from ..archive.scratch_file import read_chunks, scratch_file
from ..archive.summary import describe_archive
from ..errors import AgentError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..client import AgentClient
    from ..settings import AgentSettings


def save_workspace(
    settings: AgentSettings,
    client: AgentClient,
    attempt_key: tuple[str, str],
    exit_code: str | None,
    *,
    failed: bool,
) -> None:
    """Upload the workspace if the step has failed.

    Args:
        attempt_key: the slug of the step and the number of the attempt.
        exit_code: of its commands, in digits; "" if they reported none, None if they never began.
        failed: the step counts as failed whatever its exit code, because artifacts are missing.
    """
    if exit_code is None or (exit_code == "0" and not failed):
        return
    try:
        problem = _store(settings, client, attempt_key)
    except (AgentError, OSError) as error:
        problem = _describe(error)
    if problem is None:
        return
    print(f"workspace: not saved: {problem}", flush=True)
    try:
        client.commit_workspace(*attempt_key, {"problem": printable(problem)})
    except AgentError as error:
        print(f"workspace: {error}", flush=True)


def _store(settings: AgentSettings, client: AgentClient, attempt_key: tuple[str, str]) -> str | None:
    """None if it is stored, otherwise the reason why not."""
    started = time.monotonic()
    policy = client.workspace_policy(*attempt_key)
    if not policy["wanted"]:
        return str(policy.get("why") or "it is not needed")
    tree = TreeArchiver(settings.workspace, policy["limit"])
    with scratch_file(settings.workspace) as archive:
        tree.pack(archive)
        link = client.workspace_link(*attempt_key, tree.size, tree.sha256)
        client.put(link, lambda: read_chunks(archive), tree.size)
    report = {"size": tree.size, "sha256": tree.sha256, "files": tree.files, "leftOut": tree.skipped}
    client.commit_workspace(*attempt_key, report)
    took = time.monotonic() - started
    without = f", {tree.skipped} left out" if tree.skipped else ""
    saved = describe_archive(tree.files, tree.size)
    print(f"saved the workspace: {saved}{without}, in {took:.2f} s", flush=True)
    return None


def _describe(error: AgentError | OSError) -> str:
    if isinstance(error, AgentError):
        return str(error)
    return error.strerror or type(error).__name__
