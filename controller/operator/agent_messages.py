"""The reason that an agent gives for its failure: the end of its log, which the kubelet puts into the status of a pod.

Agents' containers have the termination message policy `FallbackToLogsOnError`, so that the reason is known together
with the failure, also while the log can't be archived.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

_PREFIX = "c8s agent: "
"""What the agent's entry point writes in front of an error."""
_MAX_LENGTH = 300


def failure_reason(terminated: Json | None, mask: Callable[[str], str | None]) -> str:
    """The reason in one printable line, without secrets; empty if the agent gave none.

    Args:
        terminated: the state of the agent's container.
        mask: returns a text without secrets, which may occur in names of files; None if it can't yet.
    """
    if not terminated or not terminated.get("exitCode"):
        return ""
    if terminated.get("reason") == "OOMKilled":
        return "the agent ran out of memory"
    lines = str(terminated.get("message") or "").splitlines()
    last = next((line for line in reversed(lines) if line.strip()), "")
    if not last.startswith(_PREFIX):
        return ""
    text = mask(last.removeprefix(_PREFIX)) or ""
    text = "".join(character if character.isprintable() else "\ufffd" for character in text).strip()
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"
