"""Messages in the status of a pod that may have secrets: why an agent failed, and why a container could not be started.

An agent's reason is the end of its log, which the kubelet puts into the status. Agents' containers have the termination
message policy `FallbackToLogsOnError`, so that the reason is known together with the failure, also while the log can't
be archived.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

_PREFIX = "c8s agent: "
"""What the agent's entry point writes in front of an error."""
_MAX_LENGTH = 300
_START_ERRORS = ("StartError", "ContainerCannotRun")
_CREATE_ERRORS = ("CreateContainerError", "RunContainerError")


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
    return _one_line(mask(last.removeprefix(_PREFIX)) or "")


def runtime_error(state: Json, mask: Callable[[str], str | None]) -> str | None:
    """Why the container runtime could not start a container, without secrets; empty if it says nothing.

    Its messages quote what it was to start: commands, variables, names of files.

    Args:
        state: of the container.
        mask: returns a text without secrets; None if it can't yet, and then this returns None.
    """
    for kind, reasons in (("terminated", _START_ERRORS), ("waiting", _CREATE_ERRORS)):
        found = state.get(kind) or {}
        if found.get("reason") in reasons and found.get("message"):
            masked = mask(str(found["message"]))
            return None if masked is None else _one_line(masked)
    return ""


def _one_line(text: str) -> str:
    text = "".join(character if character.isprintable() else "\ufffd" for character in text).strip()
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"
